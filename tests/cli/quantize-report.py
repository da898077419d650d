#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The report of triovit-quantize: quantize-report.py SIM QUANTIZE"""

import functools
import html.parser
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import tap

sim = tap.Program(sys.argv[1])
quantize = tap.Program(sys.argv[2])
IMAGES = tap.SOURCE / 'demo/images'
CLASSES = 16
TOP = tempfile.TemporaryDirectory()
LABELS = ['</title></style><script>parent.postMessage("ran", "*")</script>',
          '<img src=x onerror=\'parent.postMessage("ran", "*")\'>', '"><b>bold</b>', "' onload='x",
          '&copy; 1', 'javascript:alert(1)', 'é <!-- \u202e'] + ['plain'] * (CLASSES - 7)
TAGS = {'html', 'head', 'meta', 'title', 'style', 'body', 'p', 'h1', 'h2', 'h3', 'div', 'span', 'b',
        'i', 'u', 'a', 'br', 'dl', 'dt', 'dd', 'ul', 'li', 'table', 'thead', 'tbody', 'tr', 'th',
        'td', 'details', 'summary', 'figure', 'figcaption', 'svg', 'g', 'rect', 'path', 'text'}
ATTRIBUTES = {'lang', 'charset', 'http-equiv', 'content', 'name', 'class', 'id', 'href', 'style',
              'role', 'aria-label', 'viewbox', 'x', 'y', 'width', 'height', 'rx', 'd',
              'stroke-width', 'text-anchor'}


class Page(html.parser.HTMLParser):
    """What is in a page; everything but <meta> and <br> must be closed, in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.attributes, self.texts = [], [], []
        self.tags = set()
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in ('meta', 'br'):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data):
        self.texts.append(data)

    def handle_comment(self, data):
        raise AssertionError(data)

    @property
    def text(self):
        return ''.join(self.texts)


@functools.cache
def checkpoint():
    """A random network of 16 classes, small because nothing here depends on what it has learnt."""
    path = pathlib.Path(TOP.name) / 'small.safetensors'
    sim('random', 'b0', '--size', 32, '--classes', CLASSES, '-o', path).expect(0)
    return path


def report(folder, *arguments, network=None):
    """The JSON, the page's text and the model's path."""
    model, data, page = (folder / name for name in ('m.safetensors', 'r.json', 'r.html'))
    quantize(network or checkpoint(), '--calibrate', IMAGES, '--limit', 8, '-o', model, '--quiet',
             '--report-json', data, '--report-html', page, *arguments).expect(0)
    return json.loads(data.read_text()), page.read_text(), model


@functools.cache
def evaluated():
    folder = pathlib.Path(TOP.name) / 'evaluated'
    folder.mkdir()
    return report(folder, '--evaluate', IMAGES)


def test_agrees(_):
    """the report says what triovit-sim compare says of the same model and images"""
    data, _, model = evaluated()
    compared = json.loads(sim('compare', '--json', '--quiet', checkpoint(), model,
                              IMAGES).expect(0).out)
    for each in (data['comparison'], compared):
        for key in ('seconds', 'threads'):
            del each[key]
    assert data['comparison'] == compared
    for layer, expected in zip(data['layers'], compared['layers'], strict=True):
        assert {key: layer[key] for key in expected} == expected


def test_layers(_):
    """layers have the ranges of their channels and the codes that these use"""
    data, _, _ = evaluated()
    heads = []
    inspected = json.loads(sim('inspect', '--json', checkpoint()).expect(0).out)['layers']
    for layer, expected in zip(data['layers'], inspected, strict=True):
        assert layer['name'] == expected['name'] and layer['macs'] == expected['macs']
        channels = layer['channels']
        assert {len(values) for values in channels.values()} == {layer['shape'][2]}
        for least, low, high, most in zip(*(channels[key] for key in
                                            ('least', 'low', 'high', 'most'))):
            slack = 1e-5 * max(abs(least), abs(most))
            assert least - slack <= low <= high + slack <= most + 2 * slack, layer['name']
        assert layer['why'] and 0 <= layer['used'] <= 100.1, layer
        assert (layer['technique'] == 'int16') == (layer['bits'] == 16), layer
        if layer['technique'] == 'migration':
            # Every channel has its own scale, and none is cut.
            assert layer['cut'] == 0 and layer['used'] > layer['used_before'], layer
        for head in layer.get('heads', ()):
            heads.append(head)
            least, most = head['window']
            assert abs(most / least - 2 ** 15) < 1
            assert head['largest_divisor'] < 1.001 * most, head
    assert min(head['window'][1] / head['largest_divisor'] for head in heads) < 2
    assert {'tensor', 'migration', 'shifting', 'heads', 'int16'} >= \
        {layer['technique'] for layer in data['layers']} >= {'tensor', 'migration', 'heads', 'int16'}


def test_page(_):
    """the page shows every layer, is well-formed, and asks nobody for anything"""
    data, text, model = evaluated()
    page = Page(text)
    assert page.tags <= TAGS, page.tags - TAGS
    assert {name for name, _ in page.attributes} <= ATTRIBUTES
    ids = [value for name, value in page.attributes if name == 'id']
    assert ids == [f'layer-{i}' for i in range(len(data['layers']))]
    for name, value in page.attributes:
        assert name != 'href' or value.removeprefix('#') in ids, value
    assert not re.search(r'://|url\(|@import|src\s*=|<script', text, re.I)
    assert "default-src 'none'" in text
    for layer in data['layers']:
        # In the chart, and in the list of all.
        assert page.text.count(layer['name']) >= 2, layer['name']
    for name in data['comparison']['worst_layers']:
        assert page.text.count(name) >= 3, name
    for said in (checkpoint(), model, IMAGES, f'{data["comparison"]["integer_top1"]:.2f}',
                 f'{data["comparison"]["logits_sqnr"]:.1f}', 'zcu102, 1 image a job',
                 '8 images of', 'top-1 in float'):
        assert str(said) in page.text, said


def test_without_labels(folder):
    """without labelled images there is agreement and no accuracy, and the page says on what"""
    data, text, _ = report(folder)
    for key in ('float_top1', 'integer_top1', 'drop', 'interval'):
        assert key not in data['comparison']
    assert data['comparison']['images'] == data['comparison']['layer_images'] == 8
    assert 0 <= data['comparison']['agreement'] <= 100
    page = Page(text)
    assert 'those of the calibration' in page.text and 'top-1' not in page.text
    assert 'were switched off' not in page.text and 'was switched off' not in page.text


def test_techniques(folder):
    """what was switched off is not shown as done"""
    data, text, _ = report(folder, '--no-migration', '--no-shifting')
    assert data['techniques'] == {'migration': False, 'shifting': False, 'search': True,
                                  'correction': True}
    assert not {'migration', 'shifting'} & {layer['technique'] for layer in data['layers']}
    for said in ('Migration was switched off', 'Shifting was switched off', 'no migration'):
        assert said in Page(text).text, said


def test_same_model(folder):
    """a report changes nothing of the model"""
    _, _, model = report(folder)
    other = folder / 'other.safetensors'
    quantize(checkpoint(), '--calibrate', IMAGES, '--limit', 8, '-o', other, '-q').expect(0)
    assert model.read_bytes() == other.read_bytes()


def hostile(folder):
    """A page whose labels and file names want to be more than text."""
    labels = folder / 'labels.txt'
    labels.write_text('\n'.join(LABELS) + '\n')
    network = folder / '<img src=x onerror=alert(1)>"\'&\x07\udcff.safetensors'
    shutil.copyfile(checkpoint(), network)
    return report(folder, '--labels', labels, network=network)


def test_hostile(folder):
    """labels and file names are text, whatever they hold"""
    data, text, _ = hostile(folder)
    page = Page(text)
    assert data['labels'] == LABELS
    assert page.tags <= TAGS, page.tags - TAGS
    assert {name for name, _ in page.attributes} <= ATTRIBUTES
    for label in LABELS:
        assert label in page.text, label
        assert not re.search('[<>&"\']', label) or label not in text, label
    assert '<img src=x onerror=alert(1)>"\'&\ufffd\ufffd.safetensors in integers' in page.text
    assert '\x07' not in text


def test_failures(folder):
    """what cannot work is said before the work, and a report that cannot be written is a failure"""
    common = (checkpoint(), '-c', IMAGES, '--limit', 2, '-q')
    model = folder / 'm.safetensors'
    quantize(*common, '-o', model, '--evaluate', IMAGES).expect(2, '--report-html')
    quantize(*common, '-o', model, '--report-html', folder / 'r.html', '--evaluate',
             IMAGES / 'star_checker').expect(1, str(IMAGES / 'star_checker'))
    assert not list(folder.iterdir())
    for option in ('--report-html', '--report-json'):
        path = folder / 'none/report'
        quantize(*common, '-o', model, option, path).expect(1, str(path), 'No such file')
        quantize(*common, '-o', model, option, folder).expect(1, 'regular file')


def browser(*arguments):
    if tap.SLOW:
        raise tap.Skip('the page is the same, whatever has written it')
    program = shutil.which('chromium')
    if not program:
        raise tap.Skip('no browser: chromium is not installed')
    with tempfile.TemporaryDirectory() as profile:
        # The sandbox is not for root, and /dev/shm is small in containers.
        return subprocess.run([program, '--headless', '--no-sandbox', '--disable-gpu',
                               '--disable-dev-shm-usage', '--hide-scrollbars',
                               f'--user-data-dir={profile}', *arguments], capture_output=True,
                              timeout=tap.TIMEOUT, check=True, text=True).stdout


# What the page looks like from inside, told to the page around it.
PROBE = '''<script>addEventListener('load', () => {
const style = name => getComputedStyle(document.querySelector(name));
parent.postMessage({width: innerWidth, needed: document.documentElement.scrollWidth,
  layers: document.querySelectorAll('details').length,
  bars: document.querySelectorAll('.chart rect:not(.reach)').length,
  drawn: [...document.querySelectorAll('.card .panel')].every(p => p.clientHeight > 40),
  title: document.title, paper: style('body').backgroundColor, ink: style('body').color}, '*')
})</script>'''
AROUND = '''<!DOCTYPE html><body><script>onmessage = event => {
const p = document.createElement('p'); p.textContent = JSON.stringify(event.data)
document.body.append(p) }</script>
<iframe src="probed.html" style="width:WIDTHpx;height:900px"></iframe>'''


def rendered(folder, text, width, *arguments):
    """What the page's own scripts, which there should be none of, and the probe have said."""
    # Without its policy, under which no script would run at all.
    bare = re.sub(r'<meta http-equiv[^>]*>', '', text)
    assert bare != text
    (folder / 'probed.html').write_text(bare.replace('</body>', PROBE + '</body>'))
    (folder / 'around.html').write_text(AROUND.replace('WIDTH', str(width)))
    dom = browser('--dump-dom', '--virtual-time-budget=20000', *arguments,
                  f'file://{folder}/around.html')
    return [json.loads(html.unescape(said)) for said in re.findall(r'<p>(.*?)</p>', dom)]


def test_browser(folder):
    """a browser shows all of it, from 400 pixels on, and runs nothing that a label says"""
    data, text, _ = hostile(folder)
    for width in (400, 1200):
        said, = rendered(folder, text, width)
        assert said['width'] == width and said['needed'] <= width + 4, said
        assert said['layers'] == said['bars'] == len(data['layers']), said
        assert said['drawn'] and said['title'].endswith('in integers'), said


def test_browser_theme(folder):
    """light or dark as the reader likes it"""
    _, text, _ = evaluated()
    light, = rendered(folder, text, 800)
    dark, = rendered(folder, text, 800, '--blink-settings=preferredColorScheme=0')
    for colour, expected in ((light['paper'], 255), (dark['ink'], 228), (light['ink'], 28),
                             (dark['paper'], 20)):
        assert int(re.match(r'rgb\((\d+)', colour)[1]) == expected, (light, dark)


def test_documented(_):
    """every option is in the manual page, and help fits a terminal of 80 columns"""
    manual = (tap.SOURCE / 'docs/man/triovit-quantize.1').read_text().replace('\\-', '-')
    text = quantize('--help').expect(0).out
    assert all(len(line) <= 80 for line in text.splitlines())
    options = re.findall(r'--[a-z-]+', text)
    assert len(options) > 15
    for option in set(options) - {'--help', '--version'}:
        assert f'-{option[2:]}' in manual, option


if __name__ == '__main__':
    sys.exit(tap.main(globals()))
