// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The smallest kernel that a guest of the lab needs: a Linux takes a minute in an emulator inside an emulator, this takes a
 * second. It writes what PCI functions it sees to the first serial port, with the option ROMs that it can read, and the keys
 * that are pressed; draws on the display that it was given; and ends as its command line says: `off=SECONDS` powers off, `panic=SECONDS` reports a panic, `deaf` does not hear the power
 * button. Without a word it waits for the power button.
 *
 * For QEMU's q35 with SeaBIOS, which puts the registers of ACPI at 0x600.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;

#define PM_STATUS 0x600
#define PM_ENABLE 0x602
#define PM_CONTROL 0x604
#define PM_POWER_BUTTON 0x0100
#define PM_SLEEP_ENABLE 0x2000
#define PVPANIC 0x505
/* The firmware leaves the timer's interrupt at this rate, 18.2 a second. */
#define TICKS 18

__asm__(".section .multiboot, \"a\"\n"
	".align 4\n"
	".long 0x1badb002, 0, -0x1badb002\n"
	".text\n"
	".globl start\n"
	"start:\n"
	"	movl $stack + 8192, %esp\n"
	"	pushl %ebx\n"
	"	call pocket\n"
	"1:	hlt\n"
	"	jmp 1b\n"
	"tick:\n"
	"	pushl %eax\n"
	"	incl ticks\n"
	"	movb $0x20, %al\n"
	"	outb %al, $0x20\n"
	"	popl %eax\n"
	"	iretl\n");

extern void tick(void);
u8 stack[8192];
volatile u32 ticks;

static void out8(u16 port, u8 value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
static void out16(u16 port, u16 value) { __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port)); }
static void out32(u16 port, u32 value) { __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }
static u8 in8(u16 port) { u8 value; __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port)); return value; }
static u16 in16(u16 port) { u16 value; __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port)); return value; }
static u32 in32(u16 port) { u32 value; __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port)); return value; }

static void say(const char *text)
{
	for (; *text; text++) {
		while (!(in8(0x3fd) & 0x20))
			;
		out8(0x3f8, *text);
	}
}

static void say_hex(u32 value, int digits)
{
	char text[2] = "";
	while (digits--) {
		text[0] = "0123456789abcdef"[value >> (4 * digits) & 15];
		say(text);
	}
}

static u32 pci(u32 function, u32 offset)
{
	out32(0xcf8, 0x80000000 | function << 8 | offset);
	return in32(0xcfc);
}

static void pci_set(u32 function, u32 offset, u32 value)
{
	out32(0xcf8, 0x80000000 | function << 8 | offset);
	out32(0xcfc, value);
}

/* A bochs display: VGA's registers are in region 2 at 0x400, those of its mode at 0x500, the picture is region 0. */
static void draw(u32 function)
{
	pci_set(function, 4, pci(function, 4) | 6);
	volatile u32 *picture = (u32 *)(pci(function, 0x10) & ~15u);
	volatile u8 *registers = (u8 *)(pci(function, 0x18) & ~15u);
	volatile u16 *mode = (u16 *)(registers + 0x500);
	/* VGA's attribute register, whose bit 5 shows the picture at all. */
	registers[0x400] = 0x20;
	mode[4] = 0;
	mode[1] = 640;
	mode[2] = 480;
	mode[3] = 32;
	mode[8] = mode[9] = 0;
	mode[4] = 0x41;
	for (u32 at = 0; at < 640 * 480; at++)
		picture[at] = at / 640 / 120 & 1 ? 0x0000a0e0 : 0x00e08000;
	say("drawn\n");
}

/* The length that its first image says, the sum of all of its bytes, as the function itself shows it. */
static void rom(u32 function)
{
	u32 at = pci(function, 0x30) & ~0x7ffu, sum = 0, length;
	volatile u8 *bytes = (u8 *)at;

	/* A bridge has something else there. */
	if (!at || (pci(function, 12) >> 16 & 0x7f))
		return;
	pci_set(function, 4, pci(function, 4) | 2);
	pci_set(function, 0x30, at | 1);
	if (bytes[0] == 0x55 && bytes[1] == 0xaa) {
		length = bytes[2] * 512;
		for (u32 n = 0; n < length; n++)
			sum += bytes[n];
		say("rom ");
		say_hex(length, 8);
		say(" sum ");
		say_hex(sum, 8);
		say("\n");
	}
	pci_set(function, 0x30, at);
}

static void functions(void)
{
	/* No bus of the lab's guests has a higher number. */
	for (u32 function = 0; function < 16 * 256; function++) {
		u32 id = pci(function, 0);
		if (id == 0xffffffff)
			continue;
		u32 class = pci(function, 8) >> 8;
		say("pci ");
		say_hex(function >> 8, 2);
		say(":");
		say_hex(function >> 3 & 31, 2);
		say(".");
		say_hex(function & 7, 1);
		say(" ");
		say_hex(id & 0xffff, 4);
		say(":");
		say_hex(id >> 16, 4);
		say(" class ");
		say_hex(class, 6);
		say("\n");
		rom(function);
		if (id == 0x11111234 && class == 0x038000)
			draw(function);
	}
}

static void timer(void)
{
	static unsigned long long segments[3] = { 0, 0x00cf9a000000ffffull, 0x00cf92000000ffffull };
	static u32 gates[0x21][2];
	static struct { u16 size; u32 at; } __attribute__((packed)) table;

	table.size = sizeof segments - 1;
	table.at = (u32)segments;
	__asm__ volatile("lgdt %0\n ljmp $8, $1f\n1: movl $16, %%eax\n movl %%eax, %%ds\n movl %%eax, %%es\n movl %%eax, %%ss"
			 : : "m"(table) : "eax", "memory");
	gates[0x20][0] = 8 << 16 | ((u32)tick & 0xffff);
	gates[0x20][1] = ((u32)tick & 0xffff0000) | 0x8e00;
	table.size = sizeof gates - 1;
	table.at = (u32)gates;
	__asm__ volatile("lidt %0" : : "m"(table));
	/* Both interrupt controllers, of which only the timer's line is heard. */
	out8(0x20, 0x11);
	out8(0x21, 0x20);
	out8(0x21, 4);
	out8(0x21, 1);
	out8(0x21, 0xfe);
	out8(0xa1, 0xff);
	__asm__ volatile("sti");
}

static int word(const char *line, const char *wanted, u32 *number)
{
	for (; *line; line++) {
		u32 at = 0;
		while (wanted[at] && line[at] == wanted[at])
			at++;
		if (wanted[at])
			continue;
		*number = 0;
		for (line += at; *line >= '0' && *line <= '9'; line++)
			*number = *number * 10 + *line - '0';
		return 1;
	}
	return 0;
}

void pocket(u32 *multiboot)
{
	const char *line = multiboot[0] & 4 ? (const char *)multiboot[4] : "";
	u32 off, panic, ignored;
	int is_off = word(line, "off=", &off), is_panic = word(line, "panic=", &panic), is_deaf = word(line, "deaf", &ignored);

	say("pocket: here\n");
	functions();
	timer();
	out16(PM_STATUS, 0xffff);
	out16(PM_ENABLE, PM_POWER_BUTTON);
	say("pocket: waiting\n");
	for (;;) {
		__asm__ volatile("hlt");
		while (in8(0x64) & 1) {
			say("key ");
			say_hex(in8(0x60), 2);
			say("\n");
		}
		if (!is_deaf && in16(PM_STATUS) & PM_POWER_BUTTON) {
			say("pocket: power button\n");
			break;
		}
		if (is_off && ticks > off * TICKS)
			break;
		if (is_panic && ticks > panic * TICKS) {
			say("pocket: panic\n");
			out8(PVPANIC, 1);
			is_panic = 0;
		}
	}
	say("pocket: off\n");
	out16(PM_CONTROL, PM_SLEEP_ENABLE);
}
