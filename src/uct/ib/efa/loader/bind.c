/*
 * Binds a transport to the UCX of the process, by its handle.
 *
 * The dynamic linker would look for UCX's symbols by name: in what the program
 * and everything preloaded or opened with RTLD_GLOBAL brought first, then in
 * the transport's dependencies, which it opens by their file names. Both may be
 * another UCX than the one that calls: a wheel has its own beside the system's,
 * under file names with a hash in them. So the transport has no dependency on
 * UCX, its references are weak (base/ucx/ucx_symbols.h), and are set here, as
 * the dynamic linker does it:
 *
 *   PT_DYNAMIC -> DT_RELA, DT_JMPREL     for each entry with a weak undefined
 *      |                                 symbol
 *      '-> *(base + offset) = bind_lookup(libuct, name) + addend
 *   PT_GNU_RELRO                         made writable for that time
 */
#define _GNU_SOURCE
#include "bind.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What stands for an address of a symbol. GOT and PLT entries have no addend:
 * it is 0. */
#if defined(__x86_64__)
#  define BIND_IS_ADDRESS(_type) \
    (((_type) == R_X86_64_64) || ((_type) == R_X86_64_GLOB_DAT) || \
     ((_type) == R_X86_64_JUMP_SLOT))
#elif defined(__aarch64__)
#  define BIND_IS_ADDRESS(_type) \
    (((_type) == R_AARCH64_ABS64) || ((_type) == R_AARCH64_GLOB_DAT) || \
     ((_type) == R_AARCH64_JUMP_SLOT))
#else
#  error "which relocations are addresses of symbols on this machine?"
#endif

typedef struct {
    ElfW(Addr)        base;       /* what its addresses are relative to      */
    const ElfW(Sym)  *symbols;
    const char       *strings;
    const ElfW(Rela) *tables[2];  /* data, functions                         */
    size_t            sizes[2];   /* bytes                                   */
    uintptr_t         relro;      /* read-only after relocation: page        */
    size_t            relro_size; /* bytes; 0: there is none                 */
} bind_object_t;

/* Finds the object whose program headers are asked for, and its relro. */
static int bind_find_relro(struct dl_phdr_info *info, size_t size, void *arg)
{
    bind_object_t *object = arg;
    uintptr_t page        = (uintptr_t)sysconf(_SC_PAGESIZE);
    const ElfW(Phdr) * phdr;
    uintptr_t end;

    (void)size;
    if (info->dlpi_addr != object->base) {
        return 0;
    }

    for (phdr = info->dlpi_phdr; phdr < info->dlpi_phdr + info->dlpi_phnum;
         ++phdr) {
        if (phdr->p_type == PT_GNU_RELRO) {
            /* Whole pages, as the dynamic linker protects them */
            end                = object->base + phdr->p_vaddr + phdr->p_memsz;
            object->relro      = (object->base + phdr->p_vaddr) & ~(page - 1);
            object->relro_size = (end & ~(page - 1)) - object->relro;
        }
    }
    return 1;
}

static int bind_read(void *transport, bind_object_t *object)
{
    struct link_map *map;
    const ElfW(Dyn) * entry;
    uintptr_t address;

    memset(object, 0, sizeof(*object));
    if (dlinfo(transport, RTLD_DI_LINKMAP, &map) != 0) {
        return 0;
    }

    object->base = map->l_addr;
    for (entry = map->l_ld; entry->d_tag != DT_NULL; ++entry) {
        /* glibc has made addresses of these, musl has not */
        address = entry->d_un.d_ptr;
        if (address < object->base) {
            address += object->base;
        }

        switch (entry->d_tag) {
        case DT_SYMTAB:
            object->symbols = (const void *)address;
            break;
        case DT_STRTAB:
            object->strings = (const void *)address;
            break;
        case DT_RELA:
            object->tables[0] = (const void *)address;
            break;
        case DT_RELASZ:
            object->sizes[0] = entry->d_un.d_val;
            break;
        case DT_JMPREL:
            object->tables[1] = (const void *)address;
            break;
        case DT_PLTRELSZ:
            object->sizes[1] = entry->d_un.d_val;
            break;
        default:
            break;
        }
    }

    dl_iterate_phdr(bind_find_relro, object);
    return (object->symbols != NULL) && (object->strings != NULL);
}

/*
 * What the library that defines a symbol uses itself. Where it was opened
 * before main(), that is what the whole process sees, which may be the
 * executable's copy of a variable. Where it was not, or another UCX was, that
 * is of no concern.
 */
static uintptr_t bind_lookup(void *libuct, const char *name)
{
    const char *known = strncmp(name, "uct_", strlen("uct_")) ?
                                "ucs_mpool_init" :
                                "uct_component_register";
    void *value       = NULL;

    if (dlsym(RTLD_DEFAULT, known) == dlsym(libuct, known)) {
        value = dlsym(RTLD_DEFAULT, name);
    }
    return (uintptr_t)((value != NULL) ? value : dlsym(libuct, name));
}

/* Of the compiler's start-up code, and absent in most processes */
static int bind_is_of_compiler(const char *name)
{
    return *name == '_';
}

static int bind_table(const bind_object_t *object, int table, void *libuct,
                      char *why, size_t max)
{
    const ElfW(Rela) *rela = object->tables[table];
    const ElfW(Rela) *end  = rela + (object->sizes[table] / sizeof(*rela));
    const ElfW(Sym) * symbol;
    const char *name;
    uintptr_t value;

    for (; (rela != NULL) && (rela < end); ++rela) {
        symbol = &object->symbols[ELF64_R_SYM(rela->r_info)];
        name   = object->strings + symbol->st_name;
        if ((ELF64_ST_BIND(symbol->st_info) != STB_WEAK) ||
            (symbol->st_shndx != SHN_UNDEF) || bind_is_of_compiler(name)) {
            continue;
        }

        value = bind_lookup(libuct, name);
        if ((value == 0) || !BIND_IS_ADDRESS(ELF64_R_TYPE(rela->r_info))) {
            snprintf(why, max,
                     (value == 0) ? "this UCX has no %s" :
                                    "relocation of %s is not an address",
                     name);
            return 0;
        }
        *(uintptr_t *)(object->base + rela->r_offset) = value + rela->r_addend;
    }
    return 1;
}

static int bind_protect(const bind_object_t *object, int protection, char *why,
                        size_t max)
{
    if ((object->relro_size == 0) ||
        (mprotect((void *)object->relro, object->relro_size, protection) ==
         0)) {
        return 1;
    }

    snprintf(why, max, "mprotect: %s", strerror(errno));
    return 0;
}

int ucx_efa_bind(void *transport, void *libuct, char *why, size_t max)
{
    bind_object_t object;
    int ret;

    if (!bind_read(transport, &object)) {
        snprintf(why, max, "it has no table of symbols");
        return 0;
    }

    if (!bind_protect(&object, PROT_READ | PROT_WRITE, why, max)) {
        return 0;
    }

    ret = bind_table(&object, 0, libuct, why, max) &&
          bind_table(&object, 1, libuct, why, max);
    return bind_protect(&object, PROT_READ, why, max) && ret;
}
