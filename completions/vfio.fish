# SPDX-License-Identifier: LGPL-2.1-or-later
# fish completion for vfio(8), which is asked what there is.

function __vfio_offers
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    for offer in ($words[1] complete -- $words[2..] "$word" 2>/dev/null)
        if test "$offer" = :files
            __fish_complete_path "$word"
        else
            printf '%s\n' $offer
        end
    end
end

complete -c vfio -f -k -a '(__vfio_offers)'
