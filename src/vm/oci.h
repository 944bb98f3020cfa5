/* SPDX-License-Identifier: MIT */
/*
 * An OCI image layout -> a folder with its root file system. Images are hostile: every blob's
 * digest is checked, and layers are unpacked in a child that is locked into the new folder
 * (chroot), so that no name or link in them leads out of it.
 */
#pragma once
#include "base/error.h"

/* Unpacks the image at `layout` (a folder) into `dir`, once: there already for the same image, it
 * is left as it is. Root. */
must_check int oci_unpack(const char *layout, const char *dir, struct error *reterr);
