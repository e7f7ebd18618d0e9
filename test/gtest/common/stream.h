/*
 * A stream of messages that can be judged by what arrives, and by nothing else.
 *
 * Message number `seq` of stream `src` has a length and a content that both
 * sides compute on their own from (src, seq):
 *
 *     0               8                                        length
 *     +---------------+----------------------------------------+
 *     | src, seq      | words of a generator keyed by both     |
 *     +---------------+----------------------------------------+
 *
 * The receiver counts what it got, expects message `seq` next, and compares
 * length and every byte. A lost, repeated, reordered, cut, padded, mixed or
 * corrupted message is an error, and the first eight bytes say which one
 * arrived instead. Messages shorter than eight bytes carry the low bytes of
 * the same word; of empty ones, length and number remain.
 */
#ifndef TEST_COMMON_STREAM_H_
#define TEST_COMMON_STREAM_H_

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace harness {

inline uint64_t mix64(uint64_t x)
{
    x += 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

/* How the length follows from the number; min <= length <= max, bytes. */
struct length_plan {
    enum kind_t { FIXED, RAMP, RANDOM } kind = FIXED;
    size_t min                               = 8;
    size_t max                               = 8;

    static length_plan fixed(size_t len)
    {
        length_plan p;
        p.kind = FIXED;
        p.min  = p.max = len;
        return p;
    }

    static length_plan ramp(size_t min, size_t max)
    {
        length_plan p;
        p.kind = RAMP;
        p.min  = min;
        p.max  = max;
        return p;
    }

    static length_plan random(size_t min, size_t max)
    {
        length_plan p = ramp(min, max);
        p.kind        = RANDOM;
        return p;
    }

    size_t length(uint64_t src, uint64_t seq) const
    {
        switch (kind) {
        case RAMP:
            return min + seq % (max - min + 1);
        case RANDOM:
            return min + mix64(mix64(src) ^ seq) % (max - min + 1);
        default:
            return max;
        }
    }
};

class stream {
public:
    static const unsigned SEQ_BITS = 40;

    explicit stream(uint64_t src = 0, length_plan plan = length_plan()) :
        m_src(src), m_plan(plan)
    {
    }

    size_t length(uint64_t seq) const
    {
        return m_plan.length(m_src, seq);
    }

    uint64_t word0(uint64_t seq) const
    {
        return (m_src << SEQ_BITS) | seq;
    }

    /* Writes bytes 0..len-1 of message `seq`. */
    void fill(void *buf, uint64_t seq, size_t len) const
    {
        uint8_t *p   = static_cast<uint8_t*>(buf);
        uint64_t w   = word0(seq);
        uint64_t key = mix64(w ^ 0x5eedull);

        for (size_t off = 0; off < len; off += 8) {
            memcpy(p + off, &w, std::min<size_t>(8, len - off));
            key += 0x9e3779b97f4a7c15ull;
            w    = (key ^ (key >> 29)) * 0xbf58476d1ce4e5b9ull;
        }
    }

    /* Empty string if (data, len) is message `seq`, else what is wrong. */
    std::string verify(const void *data, size_t len, uint64_t seq) const
    {
        const uint8_t *p = static_cast<const uint8_t*>(data);
        uint64_t w       = word0(seq);
        uint64_t key     = mix64(w ^ 0x5eedull);
        char text[256];

        if (len != length(seq)) {
            snprintf(text, sizeof(text),
                     "stream %lu message %lu: length %zu instead of %zu, %s",
                     (unsigned long)m_src, (unsigned long)seq, len,
                     length(seq), describe(p, len).c_str());
            return text;
        }

        for (size_t off = 0; off < len; off += 8) {
            size_t n = std::min<size_t>(8, len - off);
            if (memcmp(p + off, &w, n) != 0) {
                snprintf(text, sizeof(text),
                         "stream %lu message %lu (%zu bytes): differs at %zu, "
                         "%s", (unsigned long)m_src, (unsigned long)seq, len,
                         off, describe(p, len).c_str());
                return text;
            }
            key += 0x9e3779b97f4a7c15ull;
            w    = (key ^ (key >> 29)) * 0xbf58476d1ce4e5b9ull;
        }

        return std::string();
    }

    uint64_t src() const
    {
        return m_src;
    }

private:
    static std::string describe(const uint8_t *p, size_t len)
    {
        char text[96];
        uint64_t w = 0;

        memcpy(&w, p, std::min<size_t>(8, len));
        snprintf(text, sizeof(text), "first word names stream %lu message %lu",
                 (unsigned long)(w >> SEQ_BITS),
                 (unsigned long)(w & ((1ull << SEQ_BITS) - 1)));
        return text;
    }

    uint64_t    m_src;
    length_plan m_plan;
};

/* Judges what arrives of one stream. Keeps the first few complaints. */
class checker {
public:
    explicit checker(const stream &s = stream()) : m_stream(s)
    {
    }

    void take(const void *data, size_t len)
    {
        std::string text = m_stream.verify(data, len, m_count);

        if (!text.empty()) {
            complain(text);
        }
        ++m_count;
    }

    void complain(const std::string &text)
    {
        ++m_errors;
        if (m_texts.size() < 5) {
            m_texts.push_back(text);
        }
    }

    uint64_t count() const
    {
        return m_count;
    }

    uint64_t errors() const
    {
        return m_errors;
    }

    std::string text() const
    {
        std::string all;
        for (const std::string &t : m_texts) {
            all += t + "\n";
        }
        return all;
    }

private:
    stream                   m_stream;
    uint64_t                 m_count  = 0;
    uint64_t                 m_errors = 0;
    std::vector<std::string> m_texts;
};

} // namespace harness

#endif
