/*
 * What the library says at warning level or above, from construction to the
 * end, instead of on the terminal. One at a time, one thread.
 */
#ifndef TEST_COMMON_SAID_H_
#define TEST_COMMON_SAID_H_

#include <string>
#include <vector>

namespace harness {

class said {
public:
    said();
    ~said();
    said(const said&)            = delete;
    said &operator=(const said&) = delete;

    const std::vector<std::string> &lines() const { return m_lines; }
    void                            forget()      { m_lines.clear(); }

    /* Empty if there is exactly one line and it has all these words, else what
     * is wrong. Forgets it. */
    std::string only(const std::vector<std::string> &words);
    /* Empty if there is none. Forgets them. */
    std::string none();

private:
    friend struct said_listener;
    std::vector<std::string> m_lines;
};

} // namespace harness

#endif
