#include "invariants.h"
#include "uct_test.h"

#include <dlfcn.h>
#include <link.h>

namespace uct_test {

/* libefasrd-1.13-assert.so, if it is loaded */
static int is_module(struct dl_phdr_info *info, size_t, void *arg)
{
    std::string *path = static_cast<std::string *>(arg);
    std::string name  = info->dlpi_name;

    if (name.find("/libefasrd-") == std::string::npos) {
        return 0;
    }
    *path = name;
    return 1;
}

static std::string module_path()
{
    std::string path;

    dl_iterate_phdr(is_module, &path);
    return path;
}

typedef void (*check_func)(uct_iface_h iface, char *why);

static check_func module_check()
{
    static check_func func = []() {
        void *handle = dlopen(module_path().c_str(), RTLD_LAZY | RTLD_NOLOAD);

        return (handle == nullptr) ?
                       nullptr :
                       (check_func)dlsym(handle, "ucx_efasrd_check");
    }();

    return func;
}

std::string invariants_broken(uct_iface_h iface)
{
    char why[128] = ""; /* UCT_SRD_CHECK_MAX */

    if (is_srd() && (module_check() != nullptr)) {
        module_check()(iface, why);
    }
    return why;
}

class invariants : public uct_base {
};

TEST_F(invariants, are_checked)
{
    if (!is_srd() || (module_path().find("-assert") == std::string::npos)) {
        GTEST_SKIP() << "a UCX without assertions";
    }
    EXPECT_NE(nullptr, module_check()) << module_path();
}

} // namespace uct_test
