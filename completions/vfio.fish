# SPDX-License-Identifier: LGPL-2.1-or-later
# fish completion for vfio(8).

# The names of the [gpu] sections, as far as they can be read.
function __vfio_gpus
    sed -n 's/^[[:space:]]*\[[[:space:]]*gpu[[:space:]]\{1,\}\([^][:space:]]*\).*/\1/p' \
        (path filter /etc/vfio.conf /usr/lib/vfio.conf.d/*.conf /run/vfio.conf.d/*.conf /etc/vfio.conf.d/*.conf) 2>/dev/null
end

set -l verbs check groups plan status bind restore rescan help
complete -c vfio -f
complete -c vfio -l root -x -a '(__fish_complete_directories)' -d 'Work on a test tree'
complete -c vfio -l json -d 'Print JSON'
complete -c vfio -s h -l help -d 'Print help'
complete -c vfio -s V -l version -d 'Print the version'
complete -c vfio -n "not __fish_seen_subcommand_from $verbs" -a check -d 'Check the configuration'
complete -c vfio -n "not __fish_seen_subcommand_from $verbs" -a groups -d 'List IOMMU groups'
complete -c vfio -n "not __fish_seen_subcommand_from $verbs" -a plan -d 'Say what the next boot will do'
complete -c vfio -n "not __fish_seen_subcommand_from $verbs" -a status -d 'Say how each card is now'
complete -c vfio -n "not __fish_seen_subcommand_from $verbs" -a bind -d 'Bind a card to vfio now'
complete -c vfio -n "not __fish_seen_subcommand_from $verbs" -a restore -d 'Give a card back to the host'
complete -c vfio -n "not __fish_seen_subcommand_from $verbs" -a rescan -d 'Take a card off the bus and find it again'
complete -c vfio -n "not __fish_seen_subcommand_from $verbs" -a help -d 'Print help'
complete -c vfio -n '__fish_seen_subcommand_from bind restore rescan' -a '(__vfio_gpus)' -d '[gpu] section'
