// SPDX-License-Identifier: LGPL-2.1-or-later
//! Codes of what keeps `vfio setup` from making a plan.

codes! {
    SETUP_NO_CARD "setup-no-card"
        "The kernel shows no graphics card on this machine, or none that '--gpu' means."
        "Run 'vfio cards', and name one of these with '--gpu=ADDRESS'.";
    SETUP_CARD_AMBIGUOUS "setup-card-ambiguous"
        "'--gpu' means more than one graphics card, or nothing tells which one the host can do without."
        "Say which with '--gpu=ADDRESS': 'vfio cards' shows what each is to the host.";
    SETUP_ANSWER_UNFIT "setup-answer-unfit"
        "An option of 'vfio setup' does not go together with what was found, or with another option."
        "Leave the option out, or give it the value that the message names.";
}
