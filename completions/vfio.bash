# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for vfio(8).

# The names of the [gpu] or [guest] sections, as far as they can be read; of the tree that $VFIO_ROOT names for vfio too.
_vfio_names() {
    local root=${VFIO_ROOT:-}
    sed -n "s/^[[:space:]]*\[[[:space:]]*$1[[:space:]]\{1,\}\([^][:space:]]*\).*/\1/p" \
        "$root"/etc/vfio.conf "$root"/{usr/lib,run,etc}/vfio.conf.d/*.conf 2>/dev/null
}

# The addresses of displays.
_vfio_displays() {
    grep -l '^0x03' "${VFIO_ROOT:-}"/sys/bus/pci/devices/*/class 2>/dev/null | sed 's|/class$||; s|.*/||'
}

_vfio() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words='' verbs=() i
    COMPREPLY=()

    if [[ $before == --root ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
    fi
    if [[ $before == --only ]]; then
        mapfile -t COMPREPLY < <(compgen -W 'boot reset display cards guests system logs' -- "$word")
        return
    fi
    if [[ $before == --guest ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_vfio_names guest)" -- "$word")
        return
    fi
    if [[ $before == --gpu ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_vfio_displays)" -- "$word")
        # The colons in an address part words for readline.
        type __ltrim_colon_completions &>/dev/null && __ltrim_colon_completions "$word"
        return
    fi
    if [[ $before == --method ]]; then
        mapfile -t COMPREPLY < <(compgen -W 'flr pm bus device_specific vendor-reset' -- "$word")
        return
    fi
    if [[ $before == --from ]]; then
        mapfile -t COMPREPLY < <(compgen -W 'auto sysfs vfct debugfs' -- "$word")
        return
    fi
    if [[ $before == --for ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_vfio_names gpu)" -- "$word")
        return
    fi
    if [[ $before == --user ]]; then
        mapfile -t COMPREPLY < <(compgen -u -- "$word")
        return
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --root | --only | --gpu | --guest | --explain | --method | --user | --from | --for) ((i++)) ;;
        -*) ;;
        *) verbs+=("${COMP_WORDS[i]}") ;;
        esac
    done

    if [[ $word == -* ]]; then
        words="--root --json --help --version"
        case ${verbs[*]} in
        groups) words="$words --gpu" ;;
        sync) words="$words --dry-run" ;;
        doctor) words="$words --only --guest --last --all --fix --yes --explain" ;;
        reset*) words="$words --method --dry-run" ;;
        setup*) words="$words --vm --iso --disk --guest-os --virtio-win --gpu --when --input --audio --looking-glass --memory --hide-vm --way-back --user --only --services --check --dry-run --yes --undo" ;;
        'rom trim'*) words="$words --for --keep-all" ;;
        'rom table'*) words="$words --at --no-battery" ;;
        'rom dump'*) words="$words --from --force" ;;
        'rebar set'*) words="$words --dry-run" ;;
        'guest define'*) words="$words --os --disk --iso --virtio-win --memory --dry-run --yes --undo" ;;
        'guest start'*) words="$words --yes" ;;
        'guest status'*) words="$words --watch" ;;
        'guest edit'*) words="$words --dry-run --yes --undo --reset-nvram" ;;
        'cmdline plan' | 'cmdline apply') words="$words --adopt --rescue --quiet" ;;
        esac
    else
        case ${verbs[*]} in
        '') words="check cards groups plan status bind restore holders guest cmdline rebar rom sync doctor explain reset setup report rescan help" ;;
        cmdline) words="status plan apply revert help" ;;
        rebar) words="set adopt restore help $(_vfio_names gpu)" ;;
        rom) words="show check trim table dump help" ;;
        guest) words="list status plan define edit start stop restore notify help" ;;
        'rebar set '?*)
            mapfile -t COMPREPLY < <(compgen -W '0= 1= 2= 3= 4= 5=' -- "$word")
            compopt -o nospace 2>/dev/null
            return
            ;;
        check | 'rebar adopt')
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            return
            ;;
        'rom show' | 'rom check')
            mapfile -t COMPREPLY < <(compgen -f -W "$(_vfio_names gpu)" -- "$word")
            return
            ;;
        'rom trim'* | 'rom table'* | 'rom dump '?*)
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            return
            ;;
        'rom dump') words=$(_vfio_names gpu) ;;
        bind | restore | holders | reset | rescan | 'rebar set' | 'rebar restore') words=$(_vfio_names gpu) ;;
        'guest status' | 'guest plan' | 'guest define' | 'guest edit' | 'guest start' | 'guest stop' | 'guest restore') words=$(_vfio_names guest) ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F _vfio vfio
