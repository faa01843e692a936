/*
 * Reads just enough ELF to reach the dynamic symbols' names. Every offset in the file is
 * checked against its size before it is used, all structures are copied out: the file may
 * be cut or crafted, and nothing in it needs to be aligned.
 */
#include "sim/node/elf_hide.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum { HIDDEN_MARK = '-' };

struct image {
    uint8_t *bytes;
    size_t size;
};

static bool copy_out(const struct image *image, uint64_t offset, void *out, size_t size)
{
    if (offset > image->size || size > image->size - offset)
        return false;
    memcpy(out, image->bytes + offset, size);
    return true;
}

static bool read_header(const struct image *image, Elf64_Ehdr *header)
{
    return copy_out(image, 0, header, sizeof(*header)) &&
           memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 &&
           header->e_ident[EI_CLASS] == ELFCLASS64 &&
           header->e_ident[EI_DATA] == ELFDATA2LSB && header->e_type == ET_DYN &&
           header->e_shentsize == sizeof(Elf64_Shdr);
}

static bool read_section(const struct image *image, const Elf64_Ehdr *header,
                         uint32_t index, Elf64_Shdr *section)
{
    uint64_t offset = (uint64_t)index * sizeof(*section);
    return index < header->e_shnum && header->e_shoff <= image->size &&
           copy_out(image, header->e_shoff + offset, section, sizeof(*section)) &&
           (section->sh_type == SHT_NOBITS ||
            (section->sh_offset <= image->size &&
             section->sh_size <= image->size - section->sh_offset));
}

static bool find_dynamic_symbols(const struct image *image, const Elf64_Ehdr *header,
                                 Elf64_Shdr *symbols, Elf64_Shdr *strings)
{
    for (uint32_t i = 0; i < header->e_shnum; i++) {
        if (!read_section(image, header, i, symbols))
            return false;
        if (symbols->sh_type == SHT_DYNSYM)
            return read_section(image, header, symbols->sh_link, strings) &&
                   strings->sh_type == SHT_STRTAB;
    }
    return false;
}

static bool is_listed(const char *name, size_t length, const char *const *names,
                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(names[i]) == length && memcmp(names[i], name, length) == 0)
            return true;
    }
    return false;
}

int elf_hide_symbols(uint8_t *bytes, size_t size, const char *const *names, size_t count,
                     struct err *err)
{
    struct image image = {bytes, size};
    Elf64_Ehdr header;
    Elf64_Shdr symbols;
    Elf64_Shdr strings;
    if (!read_header(&image, &header) ||
        !find_dynamic_symbols(&image, &header, &symbols, &strings))
        return err_set(err, ENOEXEC, ERR_PARSE, 0,
                       "not a 64-bit shared library with dynamic symbols");
    for (uint64_t at = 0; symbols.sh_size - at >= sizeof(Elf64_Sym);
         at += sizeof(Elf64_Sym)) {
        Elf64_Sym symbol;
        if (!copy_out(&image, symbols.sh_offset + at, &symbol, sizeof(symbol)) ||
            symbol.st_shndx == SHN_UNDEF || symbol.st_name >= strings.sh_size)
            continue;
        char *name = (char *)bytes + strings.sh_offset + symbol.st_name;
        size_t length = strnlen(name, strings.sh_size - symbol.st_name);
        if (length && is_listed(name, length, names, count))
            name[0] = HIDDEN_MARK;
    }
    return 0;
}
