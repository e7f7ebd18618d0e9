/*
 * A directory of a test's own, removed with all that is in it; below TMPDIR, which
 * run.sh empties whatever became of the test.
 */
#ifndef TEST_COMMON_TEMP_H_
#define TEST_COMMON_TEMP_H_

#include <cstdlib>
#include <ftw.h>
#include <stdexcept>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

class temp_dir {
public:
    temp_dir()
    {
        const char *top = getenv("TMPDIR");

        m_path = std::string((top != nullptr) ? top : "/tmp") + "/test.XXXXXX";
        if (mkdtemp(&m_path[0]) == nullptr) {
            throw std::runtime_error("cannot make " + m_path);
        }
    }

    ~temp_dir()
    {
        nftw(m_path.c_str(), forget, 16, FTW_DEPTH | FTW_PHYS);
    }

    temp_dir(const temp_dir&)            = delete;
    temp_dir &operator=(const temp_dir&) = delete;

    const std::string &path() const { return m_path; }

private:
    static int forget(const char *path, const struct stat*, int, struct FTW*)
    {
        return remove(path);
    }

    std::string m_path;
};

/* An environment variable, put back as it was */
class temp_env {
public:
    temp_env(const std::string &name, const std::string &value) : m_name(name)
    {
        const char *before = getenv(name.c_str());

        m_was_set = (before != nullptr);
        m_before  = m_was_set ? before : "";
        setenv(name.c_str(), value.c_str(), 1);
    }

    ~temp_env()
    {
        if (m_was_set) {
            setenv(m_name.c_str(), m_before.c_str(), 1);
        } else {
            unsetenv(m_name.c_str());
        }
    }

    temp_env(const temp_env&)            = delete;
    temp_env &operator=(const temp_env&) = delete;

private:
    std::string m_name, m_before;
    bool        m_was_set;
};

#endif
