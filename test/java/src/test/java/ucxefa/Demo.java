package ucxefa;

import java.nio.ByteBuffer;
import java.util.Locale;
import org.openucx.jucx.ucp.UcpEndpoint;

/**
 * A program rather than a test, for contrib/demo.sh: messages of some sizes there
 * and back between two JVMs. Prints bytes, microseconds (half of the way there and
 * back) and MB/s, and at last how many bytes it sent.
 */
public final class Demo {
    private static final int[] SIZES = {8, 8000, 1 << 20};
    private static final int[] COUNTS = {2000, 1000, 100};

    private Demo() {
    }

    /** Half of the way there and back, in microseconds. */
    private static double exchange(Node node, UcpEndpoint endpoint, int size,
                                   int count, boolean first) {
        ByteBuffer to = Pattern.of(size, 1);
        ByteBuffer from = ByteBuffer.allocateDirect(size);
        long start = System.nanoTime();

        for (int i = 0; i < count; i++) {
            if (first) {
                node.complete(endpoint.sendTaggedNonBlocking(to, 0, null),
                              "send");
            }
            node.complete(node.worker.recvTaggedNonBlocking(from, 0, -1, null),
                          "receive");
            if (!first) {
                node.complete(endpoint.sendTaggedNonBlocking(to, 0, null),
                              "send");
            }
        }
        Pattern.check(from, 1, "message");
        return (System.nanoTime() - start) / 2000.0 / count;
    }

    static final class Echo implements Peer.Role {
        @Override
        public void run(Lines lines, String[] args) {
            try (Node node = new Node()) {
                UcpEndpoint endpoint = node.exchange(lines);

                for (int i = 0; i < SIZES.length; i++) {
                    exchange(node, endpoint, SIZES[i], COUNTS[i], false);
                }
                node.expect(lines, "end");
            }
        }
    }

    public static void main(String[] args) {
        long payload = 0;

        try (Peer peer = new Peer(Echo.class); Node node = new Node()) {
            UcpEndpoint endpoint = node.exchange(peer.lines);

            for (int i = 0; i < SIZES.length; i++) {
                double time = exchange(node, endpoint, SIZES[i], COUNTS[i],
                                       true);

                System.out.printf(Locale.ROOT, "%d %.2f %.1f%n", SIZES[i], time,
                                  SIZES[i] / time);
                payload += 2L * SIZES[i] * COUNTS[i];
            }
            peer.lines.say("end");
            peer.join(node);
        }
        System.out.println("payload " + payload);
        System.exit(0);
    }
}
