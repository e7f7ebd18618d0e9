package ucxefa;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Contents of messages: every eight bytes follow from a seed and from where they
 * are, so that a piece that is missing, repeated or elsewhere is seen.
 */
final class Pattern {
    private Pattern() {
    }

    private static long word(long seed, int index) {
        long mixed = (seed * 0x9E3779B97F4A7C15L) ^ (index + 1L);

        mixed *= 0xBF58476D1CE4E5B9L;
        return mixed ^ (mixed >>> 29);
    }

    private static ByteBuffer view(ByteBuffer buffer) {
        return buffer.duplicate().order(ByteOrder.LITTLE_ENDIAN);
    }

    /** From the buffer's position to its limit; both stay. */
    static ByteBuffer fill(ByteBuffer buffer, long seed) {
        ByteBuffer to = view(buffer);
        int index = 0;

        while (to.remaining() >= 8) {
            to.putLong(word(seed, index++));
        }
        for (long last = word(seed, index); to.hasRemaining(); last >>>= 8) {
            to.put((byte)last);
        }
        return buffer;
    }

    static ByteBuffer of(int size, long seed) {
        return fill(ByteBuffer.allocateDirect(size), seed);
    }

    /** Throws if the buffer, from position to limit, has anything else. */
    static void check(ByteBuffer buffer, long seed, String what) {
        ByteBuffer from = view(buffer);
        int index = 0;

        while (from.remaining() >= 8) {
            if (from.getLong() != word(seed, index++)) {
                throw new AssertionError(what + ": other contents at " +
                                         (index - 1) * 8L);
            }
        }
        for (long last = word(seed, index); from.hasRemaining(); last >>>= 8) {
            if (from.get() != (byte)last) {
                throw new AssertionError(what + ": other contents at the end");
            }
        }
    }
}
