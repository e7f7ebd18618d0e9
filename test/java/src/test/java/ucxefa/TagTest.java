package ucxefa;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.junit.runners.Parameterized;
import org.openucx.jucx.ucp.UcpEndpoint;
import org.openucx.jucx.ucp.UcpParams;
import org.openucx.jucx.ucp.UcpRequest;

/** Tag matching: there and back, and messages that nobody waits for yet. */
@RunWith(Parameterized.class)
public class TagTest {
    private static final int LATE = 200;

    @Parameterized.Parameters(name = "{0}")
    public static List<String> protocols() {
        return List.of("default", "eager", "rendezvous");
    }

    @Parameterized.Parameter
    public String protocol;

    static UcpParams params(String protocol) {
        UcpParams params = Node.params();

        if (protocol.equals("eager")) {
            params.setConfig("RNDV_THRESH", "inf");
        } else if (protocol.equals("rendezvous")) {
            params.setConfig("RNDV_THRESH", "1");
        }
        return params;
    }

    /** Around the largest message of the device, and of the protocols of UCX. */
    static int[] sizes(String protocol) {
        int[] all = {1, 8, 63, 1000, 4096, 8192, 8928, 8929, 17857, 65536,
                     262145, 1 << 20, (1 << 20) + 7, 16 << 20, 64 << 20};

        return protocol.equals("eager") ? Arrays.copyOf(all, 13) : all;
    }

    static final class Echo implements Peer.Role {
        @Override
        public void run(Lines lines, String[] args) {
            try (Node node = new Node(params(args[0]))) {
                UcpEndpoint endpoint = node.exchange(lines);

                for (int size : sizes(args[0])) {
                    ByteBuffer buffer = ByteBuffer.allocateDirect(size);

                    node.complete(node.worker.recvTaggedNonBlocking(
                        buffer, size, -1, null), "receive");
                    Pattern.check(buffer, size, "there, " + size);
                    node.count(size);
                    Pattern.fill(buffer, -size);
                    node.complete(endpoint.sendTaggedNonBlocking(
                        buffer, -size, null), "send");
                }
                node.expect(lines, "end");
            }
        }
    }

    @Test
    public void thereAndBack() {
        try (Peer peer = new Peer(Echo.class, protocol);
             Node node = new Node(params(protocol))) {
            UcpEndpoint endpoint = node.exchange(peer.lines);

            for (int size : sizes(protocol)) {
                ByteBuffer to = Pattern.of(size, size);
                ByteBuffer from = ByteBuffer.allocateDirect(size);
                UcpRequest received = node.worker.recvTaggedNonBlocking(
                    from, -size, -1, null);

                node.complete(endpoint.sendTaggedNonBlocking(to, size, null),
                              "send");
                node.complete(received, "receive");
                if (received.getRecvSize() != size ||
                    received.getSenderTag() != -size) {
                    throw new AssertionError("other size or tag: " + size);
                }
                Pattern.check(from, -size, "back, " + size);
                node.count(size);
            }
            peer.lines.say("end");
            peer.join(node);
        }
    }

    /** Sends all at once, and only then says so. */
    static final class Early implements Peer.Role {
        @Override
        public void run(Lines lines, String[] args) {
            try (Node node = new Node(params(args[0]))) {
                UcpEndpoint endpoint = node.exchange(lines);
                List<UcpRequest> sent = new ArrayList<>();
                // while they are not sent, the collector must not take them
                List<ByteBuffer> buffers = new ArrayList<>();

                for (int i = 1; i <= LATE; i++) {
                    buffers.add(Pattern.of(i * 100, i));
                    sent.add(endpoint.sendTaggedNonBlocking(
                        buffers.get(i - 1), i, null));
                }
                lines.say("sent");
                for (UcpRequest request : sent) {
                    node.complete(request, "send");
                }
                node.expect(lines, "end");
            }
        }
    }

    @Test
    public void receivedLateAndInReverse() {
        try (Peer peer = new Peer(Early.class, protocol);
             Node node = new Node(params(protocol))) {
            node.exchange(peer.lines);
            node.expect(peer.lines, "sent");
            for (int i = LATE; i > 0; i--) {
                ByteBuffer buffer = ByteBuffer.allocateDirect(i * 100);

                node.complete(node.worker.recvTaggedNonBlocking(
                    buffer, i, -1, null), "receive");
                Pattern.check(buffer, i, "message " + i);
                node.count(i * 100);
            }
            peer.lines.say("end");
            peer.join(node);
        }
    }
}
