#!/bin/sh
# SPDX-License-Identifier: MIT
# jobs.sh QUANTIZE JOBS CHECKPOINT IMAGES FOLDER: quantizes a network and makes jobs of it.
set -e
"$1" "$3" --calibrate "$4" -o "$5/network.safetensors" >/dev/null
"$2" "$5/network.safetensors" "$5"
