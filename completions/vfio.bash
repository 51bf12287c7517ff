# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for vfio(8), which is asked what there is.

_vfio() {
    local words offers cut
    COMPREPLY=()
    # Not as readline parts them: it parts at colons and equals signs too.
    read -ra words <<<"${COMP_LINE:0:COMP_POINT}"
    [[ ${COMP_LINE:0:COMP_POINT} == *[[:space:]] ]] && words+=('')
    mapfile -t offers < <("$1" complete -- "${words[@]:1}" 2>/dev/null)
    (( ${#offers[@]} )) || return 0
    local word=${words[-1]}
    if [[ ${offers[-1]} == :files ]]; then
        unset 'offers[-1]'
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    fi
    # Readline puts an offer in the place of what comes after the last of its own breaks.
    cut=${word%"${word##*[:=]}"}
    [[ ${COMP_WORDBREAKS-} == *[:=]* ]] || cut=
    offers=("${offers[@]%%$'\t'*}")
    COMPREPLY+=("${offers[@]#"$cut"}")
    [[ ${#COMPREPLY[@]} -ne 1 || ${COMPREPLY[0]} != *[=:] ]] || compopt -o nospace 2>/dev/null
}
complete -F _vfio vfio
