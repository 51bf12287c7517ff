// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Makes emulated PCI Express functions cards with resizable BARs, which no emulator has: their configuration space shows the
 * ids and class of an RX 6800, two 64-bit prefetchable BARs and a Resizable BAR capability, all kept here. Behind the BARs
 * there is nothing. Whatever resizes them is the kernel's own code.
 *
 * card=BUS,SLOT,SIZE,SIZE[,...] of domain 0: function 0 there is taken off its bus and found again as such a card, with BARs
 * of 2^SIZE MiB. BAR 0 offers from its size to 64G, BAR 2 from 2M to 256M. Functions beside it stay what they are.
 */
#include <linux/module.h>
#include <linux/pci.h>

#define FIELDS 4
#define MOST 4
#define BARS 2
#define IDS 0x73bf1002
#define CLASS_REVISION 0x030000c1
#define CAPABILITY PCI_CFG_SPACE_SIZE
#define FIRST_MEGABYTE 20

static uint card[FIELDS * MOST];
static uint count;
module_param_array(card, uint, &count, 0444);
MODULE_PARM_DESC(card, "bus, slot, sizes of the BARs; for each card");

/* A BAR: its number, the sizes that it offers (bit n is 2^n MiB), its size now (the n), and what its registers hold. */
struct bar {
	u32 index, sizes, size;
	u64 address;
};

static struct function {
	struct pci_bus *bus;
	unsigned int devfn;
	struct bar bars[BARS];
	struct pci_ops *real;
	struct pci_ops ops;
} functions[MOST];

static struct function *find(const struct pci_bus *bus, unsigned int devfn)
{
	for (int i = 0; i < MOST; i++)
		if (bus && functions[i].bus == bus && functions[i].devfn == devfn)
			return &functions[i];
	return NULL;
}

/* How the bus itself is read and written. */
static struct pci_ops *real(const struct pci_bus *bus)
{
	for (int i = 0; i < MOST; i++)
		if (functions[i].bus == bus && functions[i].real)
			return functions[i].real;
	return NULL;
}

/* The register at a multiple of four; false if it is the emulated function's own. */
static bool get(const struct function *function, int where, u32 *value)
{
	*value = 0;
	if (where == PCI_VENDOR_ID)
		*value = IDS;
	else if (where == PCI_CLASS_REVISION)
		*value = CLASS_REVISION;
	else if (where == CAPABILITY)
		*value = PCI_EXT_CAP_ID_REBAR | 1 << 16;
	for (int i = 0; i < BARS; i++) {
		const struct bar *bar = &function->bars[i];
		u64 address = bar->address & ~((1ull << (bar->size + FIRST_MEGABYTE)) - 1);
		int at = PCI_BASE_ADDRESS_0 + 4 * bar->index;

		if (where == at)
			*value = (u32)address | PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH;
		else if (where == at + 4)
			*value = address >> 32;
		else if (where == CAPABILITY + PCI_REBAR_CAP + 8 * i)
			*value = bar->sizes << 4;
		else if (where == CAPABILITY + PCI_REBAR_CTRL + 8 * i)
			*value = bar->index | BARS << 5 | bar->size << 8;
	}
	return where == PCI_VENDOR_ID || where == PCI_CLASS_REVISION || where == PCI_ROM_ADDRESS ||
	       (where >= PCI_BASE_ADDRESS_0 && where <= PCI_BASE_ADDRESS_5) || where >= CAPABILITY;
}

static void put(struct function *function, int where, u32 value)
{
	for (int i = 0; i < BARS; i++) {
		struct bar *bar = &function->bars[i];
		int at = PCI_BASE_ADDRESS_0 + 4 * bar->index;
		u32 size = value >> 8 & 0x3f;

		if (where == at)
			bar->address = (bar->address & ~0xffffffffull) | value;
		else if (where == at + 4)
			bar->address = (u32)bar->address | (u64)value << 32;
		else if (where == CAPABILITY + PCI_REBAR_CTRL + 8 * i && size < 32 && bar->sizes >> size & 1)
			bar->size = size;
	}
}

static int read(struct pci_bus *bus, unsigned int devfn, int where, int size, u32 *value)
{
	struct function *function = find(bus, devfn);
	u32 word;

	if (!function || !get(function, where & ~3, &word))
		return real(bus)->read(bus, devfn, where, size, value);
	word >>= 8 * (where & 3);
	*value = size == 4 ? word : word & ((1u << (8 * size)) - 1);
	return 0;
}

static int write(struct pci_bus *bus, unsigned int devfn, int where, int size, u32 value)
{
	struct function *function = find(bus, devfn);
	u32 word, mask = size == 4 ? ~0u : ((1u << (8 * size)) - 1) << (8 * (where & 3));

	if (!function || !get(function, where & ~3, &word))
		return real(bus)->write(bus, devfn, where, size, value);
	put(function, where & ~3, (word & ~mask) | (value << (8 * (where & 3)) & mask));
	return 0;
}

static int disguise(struct function *function, const uint *fields)
{
	struct pci_bus *bus = pci_find_bus(0, fields[0]);
	unsigned int devfn = PCI_DEVFN(fields[1], 0);
	struct pci_dev *found = bus ? pci_get_slot(bus, devfn) : NULL;

	if (!found || fields[2] > 16 || fields[3] > 8)
		return -ENODEV;
	pci_stop_and_remove_bus_device(found);
	pci_dev_put(found);
	function->bars[0] = (struct bar){ 0, 0x1ffff & ~((1u << fields[2]) - 1), fields[2], 0 };
	function->bars[1] = (struct bar){ 2, 0x1fe, fields[3], 0 };
	function->devfn = devfn;
	if (!real(bus)) {
		function->ops = *bus->ops;
		function->ops.read = read;
		function->ops.write = write;
		function->real = pci_bus_set_ops(bus, &function->ops);
	}
	function->bus = bus;
	pci_rescan_bus(bus);
	return 0;
}

static int __init lab_rebar_init(void)
{
	int error = count && count % FIELDS == 0 ? 0 : -EINVAL;

	pci_lock_rescan_remove();
	for (uint i = 0; i < count / FIELDS && !error; i++)
		error = disguise(&functions[i], &card[i * FIELDS]);
	pci_unlock_rescan_remove();
	return error;
}
module_init(lab_rebar_init);

/* No exit: the buses read through us until the machine goes down. */
MODULE_DESCRIPTION("Cards with resizable BARs");
MODULE_LICENSE("GPL");
