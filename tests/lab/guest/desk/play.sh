#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Plays twelve seconds of silence again and again on the user's PipeWire: WAV, 8000 samples of two bytes a second.
wav=$XDG_RUNTIME_DIR/silence.wav
{
	printf 'RIFF\044\356\002\000WAVEfmt \020\000\000\000\001\000\001\000\100\037\000\000\200\076\000\000\002\000\020\000'
	printf 'data\000\356\002\000'
	head -c 192000 /dev/zero
} >"$wav"
while pw-play "$wav"; do :; done
