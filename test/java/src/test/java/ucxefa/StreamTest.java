package ucxefa;

import java.nio.ByteBuffer;
import org.junit.Test;
import org.openucx.jucx.UcxUtils;
import org.openucx.jucx.ucp.UcpConstants;
import org.openucx.jucx.ucp.UcpEndpoint;
import org.openucx.jucx.ucp.UcpRequest;

/** A stream: sent in pieces, received in others, in order. */
public class StreamTest {
    private static final int SIZE = 24 << 20;

    /** The size of a piece, up to 300 000 bytes. */
    private static int piece(int from, int salt) {
        int size = (from * 31 + salt * 7919) & 0x7fffffff;

        return Math.min(SIZE - from, size % (salt % 2 == 0 ? 300_000 : 9000) + 1);
    }

    private static void send(Node node, UcpEndpoint to, long seed, int salt) {
        ByteBuffer all = Pattern.of(SIZE, seed);
        long address = UcxUtils.getAddress(all);

        for (int from = 0, size; from < SIZE; from += size) {
            size = piece(from, salt);
            node.complete(to.sendStreamNonBlocking(address + from, size, null),
                          "send");
        }
    }

    private static void receive(Node node, UcpEndpoint endpoint, long seed,
                                int salt) {
        ByteBuffer all = ByteBuffer.allocateDirect(SIZE);
        long address = UcxUtils.getAddress(all);

        for (int from = 0, size; from < SIZE; from += size) {
            size = piece(from, salt);

            UcpRequest request = endpoint.recvStreamNonBlocking(
                address + from, size,
                UcpConstants.UCP_STREAM_RECV_FLAG_WAITALL, null);
            node.complete(request, "receive");
            if (request.getRecvSize() != size) {
                throw new AssertionError("received " + request.getRecvSize() +
                                         " of " + size);
            }
        }
        Pattern.check(all, seed, "stream");
        node.count(SIZE);
    }

    static final class Echo implements Peer.Role {
        @Override
        public void run(Lines lines, String[] args) {
            try (Node node = new Node()) {
                UcpEndpoint endpoint = node.exchange(lines);

                receive(node, endpoint, 1, 2);
                send(node, endpoint, 2, 3);
                node.expect(lines, "end");
            }
        }
    }

    @Test
    public void thereAndBack() {
        try (Peer peer = new Peer(Echo.class); Node node = new Node()) {
            UcpEndpoint endpoint = node.exchange(peer.lines);

            send(node, endpoint, 1, 5);
            receive(node, endpoint, 2, 4);
            peer.lines.say("end");
            peer.join(node);
        }
    }
}
