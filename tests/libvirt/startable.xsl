<?xml version="1.0"?>
<!-- SPDX-License-Identifier: LGPL-2.1-or-later -->
<!-- A domain without what only the machine has that it is for: host devices, the host's keyboard and mouse, sound servers,
     networks and bridges, huge pages, a TPM chip, so many CPUs. What is left is started by tests/libvirt. -->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"
    xmlns:qemu="http://libvirt.org/schemas/domain/qemu/1.0">
  <xsl:template match="@*|node()">
    <xsl:copy><xsl:apply-templates select="@*|node()"/></xsl:copy>
  </xsl:template>
  <xsl:template match="/domain/@type"><xsl:attribute name="type">qemu</xsl:attribute></xsl:template>
  <xsl:template match="hostdev|input[@type='evdev']|interface|redirdev|filesystem|tpm[backend/@type='passthrough']"/>
  <xsl:template match="qemu:commandline|qemu:override|cputune|numatune|memoryBacking/hugepages|memoryBacking/locked"/>
  <xsl:template match="vcpu/@cpuset|seclabel|emulator|iommufd|devices/iommu"/>
  <xsl:template match="disk[@type != 'file']|disk[.//source/@dev]|input[@type='passthrough']|os/nvram[@type != 'file']"/>
  <xsl:template match="os/kernel|os/initrd|os/cmdline|os/dtb|os/acpi"/>
  <xsl:template match="devices/audio"><audio id="{@id}" type="none"/></xsl:template>
  <xsl:template match="/domain/memory|/domain/currentMemory">
    <xsl:copy><xsl:attribute name="unit">MiB</xsl:attribute>256</xsl:copy>
  </xsl:template>
  <xsl:template match="cpu/numa|maxMemory|devices/memory"/>
  <!-- Emulated: KVM of a machine that is itself virtual may know no SMM, which Secure Boot needs. -->
  <xsl:template match="cpu"><cpu mode="maximum"><xsl:copy-of select="topology"/></cpu></xsl:template>
  <xsl:template match="features/hyperv|features/kvm"/>
</xsl:stylesheet>
