// SPDX-License-Identifier: LGPL-2.1-or-later
//! Codes of messages about configuration.

codes! {
    NO_SUCH_SECTION "no-such-section"
        "The configuration has no section of the name that was given."
        "Use one of the names that the message lists, or write a section of this name into /etc/vfio.conf.";

    CONFIG_UNREADABLE "config-unreadable"
        "The kernel does not let a file or a directory of the configuration be read; its error is in the message. \
         Nothing in it counts."
        "If permission is denied, run the command as root; a loop of links or a file in the place of a directory is to \
         be replaced.";
    CONFIG_DANGLING_LINK "config-dangling-link"
        "A file or a directory of the configuration is a link to something that is not there. Nothing in it counts."
        "Correct the link or remove it. To switch a file of a package off, link its name in /etc/vfio.conf.d to \
         /dev/null.";
    CONFIG_NOT_A_FILE "config-not-a-file"
        "A directory, a device or a FIFO has the name of a configuration file. It is not read."
        "Put a text file there or remove it.";
    CONFIG_TOO_LARGE "config-too-large"
        "A configuration file is larger than 1 MiB. Nothing in it counts."
        "Look whether it is a configuration file at all. If it is, divide it into several.";
    CONFIG_FILES_TOO_LARGE "config-files-too-large"
        "All configuration files together are larger than 4 MiB. The files that come after the limit do not count."
        "Remove files that are not needed, or what is commented out in them.";
    CONFIG_TOO_MANY_FILES "config-too-many-files"
        "A directory of drop-ins has more than 256 files whose names end in .conf. None of them counts."
        "Remove some, or merge them.";
    CONFIG_FILE_NAME "config-file-name"
        "A drop-in has a name that is not UTF-8 or has control characters. It is not read."
        "Give it another name.";
    CONFIG_UTF16 "config-utf16"
        "A configuration file begins with the byte order mark of UTF-16. Nothing in it counts."
        "Save the file as UTF-8.";
    CONFIG_WRITABLE_BY_OTHERS "config-writable-by-others"
        "A user other than root may change a configuration file, or a directory that leads to it, by its owner, its \
         mode or its access list; an access list that cannot be judged counts as one that allows it. What the \
         configuration says is done with root's rights, so such a file does not count."
        "Run the command that the message names, after a look at who wrote into the file.";
    MORE_MESSAGES "more-messages"
        "There are more than 20 messages about one file. The rest is only counted."
        "Correct what the messages before it say, then run 'vfio check' again.";

    LINE_TOO_LONG "line-too-long"
        "A line is longer than 4096 bytes. It is not read, and a [gpu] or [guest] section with it does not count."
        "Shorten the line. Commands can be moved into a script.";
    CONTROL_CHARACTER "control-character"
        "A line has a NUL or another control character in it. It is not read, and a [gpu] or [guest] section with it \
         does not count."
        "Remove the character, and look whether the file is a text file at all.";
    LINE_NOT_UTF8 "line-not-utf8"
        "A line is not UTF-8. It is not read, and a [gpu] or [guest] section with it does not count."
        "Save the file as UTF-8.";
    UNCLOSED_HEADER "unclosed-header"
        "A line begins with '[' as a section does, and has no ']'. The section that it begins does not count."
        "Write the ']' at the end of the line.";
    TEXT_AFTER_HEADER "text-after-header"
        "There is text after the ']' of a section's line. The section does not count."
        "Move the text to a line of its own; a comment begins with '#'.";
    NOT_A_SETTING "not-a-setting"
        "A line is not a section, a setting or a comment. A [gpu] or [guest] section with it does not count."
        "Write the line as 'key = value', or put a '#' before it.";
    NO_KEY "no-key"
        "A line has nothing before its '='. A [gpu] or [guest] section with it does not count."
        "Write the key before the '='.";
    CONTINUED_LINE "continued-line"
        "A value ends in a backslash, as if it went on in the next line. Lines cannot be continued: the value is not \
         read, and a [gpu] or [guest] section with it does not count."
        "Write the whole value on one line. 'before' and 'after' may be written several times.";

    UNKNOWN_SECTION "unknown-section"
        "There is no section of this kind. It is ignored with all that is in it."
        "Correct the word after the '[': it is host, gpu or guest, in lower case.";
    HOST_WITH_NAME "host-with-name"
        "[host] has a name, but there is only one host. The section counts, the name is ignored."
        "Write the line as [host].";
    SECTION_WITHOUT_NAME "section-without-name"
        "A [gpu] or a [guest] section has no name. It does not count."
        "Write a name of your choice after the word, as in [gpu big].";
    SECTION_NAME "section-name"
        "A name cannot be that of a section: it may have up to 128 letters of ASCII, digits, '_', '.', ':' and '-', \
         and does not begin with '.' or '-'. It becomes part of the names of units and files."
        "Choose another name, and use it wherever the section is named.";
    SECTION_TWICE "section-twice"
        "A section of this kind and name is already in the same file. Neither of the two counts, because nobody can \
         tell which is meant."
        "Merge the two, or give one another name.";
    TOO_MANY_SECTIONS "too-many-sections"
        "The configuration has more than 256 sections. Those after the limit do not count."
        "Remove sections that are not needed.";
    TOO_MANY_SETTINGS "too-many-settings"
        "A section has more than 512 settings. A [gpu] or [guest] section does not count then; in [host] the settings \
         after the limit are ignored."
        "Remove settings that are not needed, lines with the same key first.";
    SETTING_OUTSIDE_SECTION "setting-outside-section"
        "A setting is before the first section of its file. It is ignored."
        "Put the line of its section before it, as in [host].";
    UNKNOWN_KEY "unknown-key"
        "The section does not have this key. The line is ignored."
        "Correct the key: vfio.conf(5) lists the keys of each section.";
    KEY_OF_OTHER_SECTION "key-of-other-section"
        "The key belongs to another section. The line is ignored."
        "Move the line into the section that the message names.";
    KEY_TWICE "key-twice"
        "A key is set twice in one section of one file. The later line counts."
        "Remove the line that is not meant.";
    KEY_WITHOUT_EFFECT "key-without-effect"
        "A key is set that nothing reads with this 'runner': 'command' and 'user' belong to runner = command, 'domain' \
         and 'uri' to runner = libvirt."
        "Set 'runner' to what the guest is, or remove the line.";

    WRONG_VALUE "wrong-value"
        "A value is not what its key takes. A [gpu] or a [guest] section with one does not count; in [host] the \
         default counts instead, and the suite stays idle if it is 'enable'."
        "Write a value as the message says; vfio.conf(5) describes the values of each key.";
    COMMENT_IN_VALUE "comment-in-value"
        "A value has what seems to be a comment in it. Comments are only on lines of their own, so the text is part of \
         the value."
        "Move the comment to a line of its own.";
    QUOTED_VALUE "quoted-value"
        "A value is in quotes. The quotes are part of the value."
        "Write the value without quotes.";
    LIBVIRT_SESSION "libvirt-session"
        "The 'uri' is that of a libvirt that belongs to one user. It runs no hook, and it may not lock the memory of a \
         guest, which a guest with a card needs."
        "Define the domain in the system's libvirt, qemu:///system.";
    SHELL_SYNTAX "shell-syntax"
        "A command has a word that only a shell understands, such as && or >. No shell runs it, so the program gets \
         the word as an argument."
        "Run the command by sh -c '...', or put quotes around the word if the program is to have it.";
    KERNEL_PARAMETER_LEFT_OUT "kernel-parameter-left-out"
        "A kernel parameter in 'kernel-parameters' has no use here or is set by a key of its own. It is not added."
        "Remove it, and set the key that the message names.";
    KERNEL_PARAMETER_TWICE "kernel-parameter-twice"
        "'kernel-parameters' has a parameter of the same name as the one that 'iommu' adds."
        "Write iommu = off, so that only your own is added.";

    NO_DEVICE "no-device"
        "A [gpu] section does not say which card it is about. It does not count."
        "Write device = and the address of the card; 'vfio groups' lists the cards.";
    DEVICE_TWICE "device-twice"
        "Two [gpu] sections are about the same card. The second does not count."
        "Remove one of them or correct its 'device'. Two cards with one identity are told apart by their addresses.";
    ALSO_IN_OWN_SLOT "also-in-own-slot"
        "'also' names a function of the card's own slot. It is left out of the list."
        "Remove it from 'also': 'functions' chooses those of the card's own slot, and all of them by default.";
    NO_GPUS "no-gpus"
        "A [guest] section does not say which cards the guest gets. It does not count."
        "Write gpus = and the name of a [gpu] section.";
    NO_SUCH_GPU "no-such-gpu"
        "'gpus' of a guest names a section that is not in the configuration. The guest does not count."
        "Correct the name or write the [gpu] section.";
    GPU_DISABLED "gpu-disabled"
        "'gpus' of a guest names a [gpu] section that does not count because of an error in it. The guest does not \
         count either."
        "Correct the error in the [gpu] section: the message says where it is.";
    BAR_OF_OTHER_GPU "bar-of-other-gpu"
        "A guest sets the size of a BAR of a card that is not among its 'gpus'. The guest does not count."
        "Correct the name before the '.', or add the card to 'gpus'.";
    NO_COMMAND "no-command"
        "A guest has runner = command, but no 'command'. It does not count."
        "Write command = and the program that is the guest.";
    HANDOVER_NEEDS_BIND_AT_BOOT "handover-needs-bind-at-boot"
        "A guest has handover = none, which needs cards that are bound at boot, and one of its cards is bound when a \
         guest starts."
        "Write bind = boot in the section of the card, or choose another 'handover'.";
}
