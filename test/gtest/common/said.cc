#include "said.h"

#include <cstdarg>
#include <cstdio>

extern "C" {
#include <ucs/debug/log_def.h>
}

namespace harness {

static said *g_said;

struct said_listener {
    static ucs_log_func_rc_t listen(const char *, unsigned, const char *,
                                    ucs_log_level_t level,
                                    const ucs_log_component_config_t *,
                                    const char *format, va_list ap)
    {
        char line[2048];

        if (level <= UCS_LOG_LEVEL_WARN) {
            vsnprintf(line, sizeof(line), format, ap);
            g_said->m_lines.push_back(line);
        }
        return UCS_LOG_FUNC_RC_STOP;
    }
};

said::said()
{
    g_said = this;
    ucs_log_push_handler(said_listener::listen);
}

said::~said()
{
    ucs_log_pop_handler();
    g_said = nullptr;
}

std::string said::only(const std::vector<std::string> &words)
{
    std::string text;

    if (m_lines.size() != 1) {
        text = std::to_string(m_lines.size()) + " lines instead of one; ";
    }
    for (const std::string &line : m_lines) {
        for (const std::string &word : words) {
            if (line.find(word) == std::string::npos) {
                text += "no '" + word + "' in: " + line + "; ";
            }
        }
    }
    m_lines.clear();
    return text;
}

std::string said::none()
{
    std::string text;

    for (const std::string &line : m_lines) {
        text += line + "; ";
    }
    m_lines.clear();
    return text;
}

} // namespace harness
