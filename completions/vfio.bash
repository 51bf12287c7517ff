# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for vfio(8).

_vfio() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} verb='' i
    COMPREPLY=()

    if [[ $before == --root ]]; then
        mapfile -t COMPREPLY < <(compgen -d -- "$word")
        return
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --root) ((i++)) ;;
        -*) ;;
        *)
            verb=${COMP_WORDS[i]}
            break
            ;;
        esac
    done

    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "--root --json --help --version" -- "$word")
    elif [[ -z $verb ]]; then
        mapfile -t COMPREPLY < <(compgen -W "check groups plan status bind restore rescan help" -- "$word")
    else
        case $verb in
        bind | restore | rescan)
            # The names of the [gpu] sections, as far as they can be read.
            mapfile -t COMPREPLY < <(compgen -W "$(sed -n 's/^[[:space:]]*\[[[:space:]]*gpu[[:space:]]\{1,\}\([^][:space:]]*\).*/\1/p' \
                /etc/vfio.conf /usr/lib/vfio.conf.d/*.conf /run/vfio.conf.d/*.conf /etc/vfio.conf.d/*.conf 2>/dev/null)" -- "$word")
            ;;
        esac
    fi
}
complete -F _vfio vfio
