#!/bin/sh
# SPDX-License-Identifier: MIT
# jobs.sh QUANTIZE SIM JOBS TARGET CHECKPOINT IMAGES FOLDER: quantizes the network of the checkpoint,
# and B1-224 with random weights, and makes jobs of them.
set -e
quantize=$1 sim=$2 jobs=$3 target=$4 checkpoint=$5 images=$6 folder=$7
"$quantize" "$checkpoint" --target "$target" --calibrate "$images" -o "$folder/network.safetensors" >/dev/null
"$sim" random b1 --size 224 -o "$folder/b1-float.safetensors"
"$quantize" "$folder/b1-float.safetensors" --target "$target" --calibrate "$images" --limit 4 \
	-o "$folder/b1.safetensors" >/dev/null
rm "$folder/b1-float.safetensors"
"$jobs" "$folder" "$target" network "$folder/network.safetensors" b1 "$folder/b1.safetensors"
