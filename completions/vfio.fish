# SPDX-License-Identifier: LGPL-2.1-or-later
# fish completion for vfio(8).

# The names of the [gpu] or [guest] sections, as far as they can be read.
function __vfio_names
    sed -n 's/^[[:space:]]*\[[[:space:]]*'$argv[1]'[[:space:]]\{1,\}\([^][:space:]]*\).*/\1/p' \
        (path filter /etc/vfio.conf /usr/lib/vfio.conf.d/*.conf /run/vfio.conf.d/*.conf /etc/vfio.conf.d/*.conf) 2>/dev/null
end

# The addresses of displays.
function __vfio_displays
    grep -l '^0x03' /sys/bus/pci/devices/*/class 2>/dev/null | string replace -r '.*/([^/]*)/class$' '$1'
end

# Whether the words before the cursor, without options, are one of these.
function __vfio_after
    set -l words
    set -l skip no
    for word in (commandline -opc)[2..]
        if test $skip = yes
            set skip no
        else if contains -- "$word" --root --only --gpu --guest --explain --method --user --from --for
            set skip yes
        else if not string match -q -- '-*' "$word"
            set -a words "$word"
        end
    end
    contains -- "$words" $argv
end

complete -c vfio -f
complete -c vfio -l root -r -F -d 'Operate on the file tree DIR, or on a report'
complete -c vfio -l json -d 'Print JSON'
complete -c vfio -s h -l help -d 'Print help'
complete -c vfio -s V -l version -d 'Print the version'
complete -c vfio -n "__vfio_after ''" -a check -d 'Check the configuration'
complete -c vfio -n "__vfio_after ''" -a cards -d 'Show the graphics cards, and the lines that give one to a guest'
complete -c vfio -n "__vfio_after ''" -a groups -d 'List IOMMU groups'
complete -c vfio -n "__vfio_after ''" -a plan -d 'Show what the next boot will do'
complete -c vfio -n "__vfio_after ''" -a status -d 'Show the state of each card'
complete -c vfio -n "__vfio_after ''" -a bind -d 'Bind a card to vfio now'
complete -c vfio -n "__vfio_after ''" -a restore -d 'Give a card back to the host'
complete -c vfio -n "__vfio_after ''" -a holders -d 'List the processes that hold a card'
complete -c vfio -n "__vfio_after ''" -a guest -d 'List, inspect, start and stop guests'
complete -c vfio -n "__vfio_after ''" -a cmdline -d 'Inspect and change the kernel command line of boot entries'
complete -c vfio -n "__vfio_after ''" -a rebar -d 'Show and set the sizes of resizable BARs'
complete -c vfio -n "__vfio_after ''" -a rom -d 'Show, check, trim and dump option ROMs'
complete -c vfio -n "__vfio_after ''" -a sync -d 'Bring boot entries and initramfs up to date'
complete -c vfio -n "__vfio_after ''" -a doctor -d 'Diagnose the setup and suggest fixes'
complete -c vfio -n "__vfio_after ''" -a explain -d 'Explain the code of a message'
complete -c vfio -n "__vfio_after ''" -a reset -d 'Show reset methods, or reset one card'
complete -c vfio -n "__vfio_after ''" -a setup -d 'Find a card and a guest, ask, show a plan, and make it so'
complete -c vfio -n "__vfio_after ''" -a report -d 'Print all that a bug report needs'
complete -c vfio -n "__vfio_after ''" -a rescan -d 'Remove a card from the bus and rescan'
complete -c vfio -n "__vfio_after ''" -a help -d 'Print help'

complete -c vfio -n '__vfio_after check "rebar adopt"' -F
complete -c vfio -n '__vfio_after groups' -l gpu -x -a '(__vfio_displays)' -d 'Show the groups of this card only'
complete -c vfio -n '__vfio_after sync' -l dry-run -d 'Show what would be done, and do nothing'
complete -c vfio -n 'string match -q "*rebar set *" -- (commandline -opc | string join " ")" "' -a '0= 1= 2= 3= 4= 5=' -d 'BAR'
complete -c vfio -n '__vfio_after doctor' -l guest -x -a '(__vfio_names guest)' -d 'Look at this guest only'

complete -c vfio -n '__vfio_after cmdline' -a status -d 'Show which boot files have the required parameters'
complete -c vfio -n '__vfio_after cmdline' -a plan -d 'Show what an apply would change'
complete -c vfio -n '__vfio_after cmdline' -a apply -d 'Add the required parameters to every boot entry'
complete -c vfio -n '__vfio_after cmdline' -a revert -d 'Remove everything that vfio added'
complete -c vfio -n '__vfio_after cmdline' -a help -d 'Print help'
complete -c vfio -n '__vfio_after doctor' -l only -x -a 'boot reset display cards guests system logs' -d 'Look at this part only'
complete -c vfio -n '__vfio_after doctor' -l fix -d 'Run what is safe and puts something right'
complete -c vfio -n '__vfio_after doctor' -l yes -d 'Run it without a question'
complete -c vfio -n '__vfio_after doctor' -l last -d 'Show why the last start of a guest failed'
complete -c vfio -n '__vfio_after doctor' -l all -d 'Show what is well, too'
complete -c vfio -n '__vfio_after doctor' -l explain -x -d 'Explain a line of a log'
complete -c vfio -n '__vfio_after "cmdline plan" "cmdline apply"' -l adopt -d 'Adopt required parameters that are there already'
complete -c vfio -n '__vfio_after "cmdline plan" "cmdline apply"' -l rescue -d 'Change entries for emergencies too'
complete -c vfio -n '__vfio_after "cmdline plan" "cmdline apply"' -l quiet -d 'Print only problems'

complete -c vfio -n '__vfio_after rebar' -a set -d 'Resize BARs'
complete -c vfio -n '__vfio_after rebar' -a adopt -d 'Print what udev rules mean'
complete -c vfio -n '__vfio_after "rebar adopt"' -F
complete -c vfio -n '__vfio_after rebar' -a restore -d 'Give BARs their former sizes'
complete -c vfio -n '__vfio_after rebar' -a help -d 'Print help'
complete -c vfio -n '__vfio_after "rebar set"' -l dry-run -d 'Show what would be done, and do nothing'

complete -c vfio -n '__vfio_after rom' -a show -d 'Show the images of an option ROM'
complete -c vfio -n '__vfio_after rom' -a check -d 'Check an option ROM'
complete -c vfio -n '__vfio_after rom' -a trim -d 'Write the option ROM of a file into a new file'
complete -c vfio -n '__vfio_after rom' -a table -d 'Write an ACPI table with the option ROM'
complete -c vfio -n '__vfio_after rom' -a dump -d 'Read the option ROM of a card'
complete -c vfio -n '__vfio_after rom' -a help -d 'Print help'
complete -c vfio -n '__vfio_after "rom show" "rom check" "rom trim" "rom table"' -F
complete -c vfio -n '__vfio_after "rom show" "rom check" "rom dump"' -a '(__vfio_names gpu)' -d '[gpu] section'
complete -c vfio -n '__vfio_after "rom trim"' -l for -x -a '(__vfio_names gpu)' -d 'Look for the ROM of this card'
complete -c vfio -n '__vfio_after "rom trim"' -l keep-all -d 'Keep images that only the card uses'
complete -c vfio -n '__vfio_after "rom table"' -l at -x -d 'Where the card is in the guest'
complete -c vfio -n '__vfio_after "rom table"' -l no-battery -d 'Leave the battery out'
complete -c vfio -n '__vfio_after "rom dump"' -l from -x -a 'auto sysfs vfct debugfs' -d 'Read it from here'
complete -c vfio -n '__vfio_after "rom dump"' -l force -d 'Read it although the card is in use'

complete -c vfio -n '__vfio_after setup' -l vm -x -d 'Give the card to this libvirt domain'
complete -c vfio -n '__vfio_after setup' -l iso -r -d 'Make the domain, and install from this image'
complete -c vfio -n '__vfio_after setup' -l disk -r -d 'The new disk: a path, or a size'
complete -c vfio -n '__vfio_after setup' -l guest-os -x -a 'win11 win10 debian13 generic' -d 'The system of the new domain'
complete -c vfio -n '__vfio_after setup' -l virtio-win -r -d 'The image with the drivers for Windows'
complete -c vfio -n '__vfio_after setup' -l gpu -x -a 'auto nvidia amd intel' -d 'Choose the card'
complete -c vfio -n '__vfio_after setup' -l when -x -a 'auto boot guest' -d 'Choose when the card is with guests'
complete -c vfio -n '__vfio_after setup' -l input -x -a 'auto evdev none usb:' -d 'Choose how keyboard and mouse reach the guest'
complete -c vfio -n '__vfio_after setup' -l audio -x -a 'auto pipewire pulse card none' -d 'Choose where the sound is heard'
complete -c vfio -n '__vfio_after setup' -l looking-glass -d 'Share memory for Looking Glass'
complete -c vfio -n '__vfio_after setup' -l memory -x -a '8G 16G 32G' -d 'Give the guest this much memory'
complete -c vfio -n '__vfio_after setup' -l hide-vm -x -a 'auto yes no' -d 'Keep the guest from seeing that it is virtual'
complete -c vfio -n '__vfio_after setup' -l way-back -x -a 'auto both ssh entry none' -d 'Choose the ways in for a dark screen'
complete -c vfio -n '__vfio_after setup' -l only -x -a 'services packages config guest boot' -d 'Do this part only'
complete -c vfio -n '__vfio_after setup' -l check -d 'Show what was found, and what is in the way'
complete -c vfio -n '__vfio_after setup' -l yes -d 'Do it without a question'
complete -c vfio -n '__vfio_after setup' -l services -d 'libvirt, its network, groups, without a question'
complete -c vfio -n '__vfio_after setup' -l user -x -a '(__fish_complete_users)' -d 'Add this user to the groups'
complete -c vfio -n 'string match -q "*guest define *" -- (commandline -opc | string join " ")" "' -l os -x -d 'The system that is installed'
complete -c vfio -n 'string match -q "*guest define *" -- (commandline -opc | string join " ")" "' -l disk -r -d 'Use this disk, or make one of this size'
complete -c vfio -n 'string match -q "*guest define *" -- (commandline -opc | string join " ")" "' -l iso -r -d 'Install from this image'
complete -c vfio -n 'string match -q "*guest define *" -- (commandline -opc | string join " ")" "' -l virtio-win -r -d 'The image with the drivers for Windows'
complete -c vfio -n 'string match -q "*guest define *" -- (commandline -opc | string join " ")" "' -l memory -x -d 'So much memory'
complete -c vfio -n 'string match -q "*guest define *" -- (commandline -opc | string join " ")" "' -l dry-run -d 'Show the domain, and make nothing'
complete -c vfio -n 'string match -q "*guest define *" -- (commandline -opc | string join " ")" "' -l yes -d 'Make it without a question'
complete -c vfio -n 'string match -q "*guest define *" -- (commandline -opc | string join " ")" "' -l undo -d 'Remove the domain that was made'
complete -c vfio -n 'string match -q "*guest edit *" -- (commandline -opc | string join " ")" "' -l dry-run -d 'Show what would be changed, and change nothing'
complete -c vfio -n 'string match -q "*guest edit *" -- (commandline -opc | string join " ")" "' -l yes -d 'Change it without a question'
complete -c vfio -n 'string match -q "*guest edit *" -- (commandline -opc | string join " ")" "' -l undo -d 'Take back what was changed, and nothing else'
complete -c vfio -n 'string match -q "*guest edit *" -- (commandline -opc | string join " ")" "' -l reset-nvram -d 'Let the UEFI variables begin anew'
complete -c vfio -n 'string match -q "*guest start *" -- (commandline -opc | string join " ")" "' -l yes -d 'Start it without a question'
complete -c vfio -n 'string match -q "*guest status *" -- (commandline -opc | string join " ")" "' -l watch -d 'Go on showing each step and each change'
complete -c vfio -n '__vfio_after setup' -l dry-run -d 'Show what would be done, and do nothing'
complete -c vfio -n '__vfio_after setup' -l undo -d 'Undo what was done'

complete -c vfio -n '__vfio_after guest' -a list -d 'List the guests'
complete -c vfio -n '__vfio_after guest' -a status -d 'Show the state of a guest'
complete -c vfio -n '__vfio_after guest' -a plan -d 'Show what starting a guest would do'
complete -c vfio -n '__vfio_after guest' -a define -d 'Make the domain'
complete -c vfio -n '__vfio_after guest' -a edit -d 'Bring the domain to what the section says'
complete -c vfio -n '__vfio_after guest' -a start -d 'Start a guest'
complete -c vfio -n '__vfio_after guest' -a stop -d 'Shut a guest down'
complete -c vfio -n '__vfio_after guest' -a restore -d 'Give back what a guest has'
complete -c vfio -n '__vfio_after guest' -a notify -d 'Show on the desktop why starts failed'
complete -c vfio -n '__vfio_after guest' -a help -d 'Print help'

complete -c vfio -n 'string match -q "*reset *" -- (commandline -opc | string join " ")" "' -l method -x -a 'flr pm bus device_specific vendor-reset' -d 'Use this method'
complete -c vfio -n 'string match -q "*reset *" -- (commandline -opc | string join " ")" "' -l dry-run -d 'Show what would be done, and do nothing'
complete -c vfio -n '__vfio_after bind restore holders reset rescan rebar "rebar set" "rebar restore"' -a '(__vfio_names gpu)' -d '[gpu] section'
complete -c vfio -n '__vfio_after "guest status" "guest plan" "guest define" "guest edit" "guest start" "guest stop" "guest restore"' \
    -a '(__vfio_names guest)' -d '[guest] section'
