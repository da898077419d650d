#!/bin/sh
# SPDX-License-Identifier: MIT
# jobs.sh QUANTIZE SIM JOBS CHECKPOINT IMAGES FOLDER: quantizes the network of the checkpoint, and
# B1-224 with random weights, and makes jobs of them.
set -e
quantize=$1 sim=$2 jobs=$3 checkpoint=$4 images=$5 folder=$6
"$quantize" "$checkpoint" --calibrate "$images" -o "$folder/network.safetensors" >/dev/null
"$sim" random b1 --size 224 -o "$folder/b1-float.safetensors"
"$quantize" "$folder/b1-float.safetensors" --calibrate "$images" --limit 4 \
	-o "$folder/b1.safetensors" >/dev/null
rm "$folder/b1-float.safetensors"
"$jobs" "$folder" network "$folder/network.safetensors" b1 "$folder/b1.safetensors"
