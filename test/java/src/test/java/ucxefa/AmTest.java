package ucxefa;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.junit.runners.Parameterized;
import org.openucx.jucx.UcxUtils;
import org.openucx.jucx.ucp.UcpConstants;
import org.openucx.jucx.ucp.UcpEndpoint;
import org.openucx.jucx.ucp.UcpRequest;
import org.openucx.jucx.ucs.UcsConstants;

/**
 * Active messages with a header, answered on the endpoint that UCX hands to the
 * handler. Header: the size of the data.
 */
@RunWith(Parameterized.class)
public class AmTest {
    private static final int REQUEST = 1;
    private static final int ANSWER = 2;
    private static final int HEADER = 24;

    @Parameterized.Parameters(name = "{0}")
    public static List<String> protocols() {
        return List.of("eager", "rendezvous");
    }

    @Parameterized.Parameter
    public String protocol;

    private static int[] sizes(String protocol) {
        int[] all = {1, 100, 8000, 8904, 8928, 100_000, 1 << 20, 16 << 20,
                     64 << 20};

        return protocol.equals("eager") ? Arrays.copyOf(all, 7) : all;
    }

    private static long flag(String protocol) {
        return protocol.equals("eager") ? UcpConstants.UCP_AM_SEND_FLAG_EAGER :
                                          UcpConstants.UCP_AM_SEND_FLAG_RNDV;
    }

    private static ByteBuffer header(int size) {
        ByteBuffer header = ByteBuffer.allocateDirect(HEADER);

        header.putInt(size).putLong(size * 3L).putLong(-size).putInt(7).flip();
        return header;
    }

    /** What a handler gets: checked there, or when it has been read. */
    private static final class Receiver {
        final Node node;
        final List<UcpRequest> requests = new ArrayList<>();
        final List<UcpEndpoint> origins = new ArrayList<>();
        final List<String> wrong = new ArrayList<>();
        ByteBuffer data;
        int size = -1;

        Receiver(Node node, int id, String protocol) {
            this.node = node;
            node.worker.setAmRecvHandler(id, (header, length, am, origin) -> {
                ByteBuffer from = UcxUtils.getByteBufferView(header, length);

                size = from.getInt(0);
                if (!from.equals(header(size)) || am.getLength() != size) {
                    wrong.add("header of " + size);
                }
                if (am.isDataValid() != protocol.equals("eager")) {
                    wrong.add("not " + protocol + ": " + size);
                }
                data = ByteBuffer.allocateDirect(size);
                if (origin != null) {
                    origins.add(origin);
                }
                if (am.isDataValid()) {
                    data.put(UcxUtils.getByteBufferView(am.getDataAddress(),
                                                        size)).flip();
                } else {
                    requests.add(am.receive(UcxUtils.getAddress(data), null));
                }
                return UcsConstants.STATUS.UCS_OK;
            }, UcpConstants.UCP_AM_FLAG_WHOLE_MSG);
        }

        int next(long seed) {
            node.await(() -> size >= 0, "an active message");
            if (!wrong.isEmpty()) {
                throw new AssertionError(wrong.toString());
            }
            for (UcpRequest request : requests) {
                node.complete(request, "data of an active message");
            }
            requests.clear();
            Pattern.check(data, seed + size, "active message of " + size);
            node.count(size);

            int result = size;
            size = -1;
            return result;
        }
    }

    private static void send(Node node, UcpEndpoint to, int id, int size,
                             long seed, long flags) {
        ByteBuffer header = header(size);
        ByteBuffer data = Pattern.of(size, seed + size);

        node.complete(to.sendAmNonBlocking(
            id, UcxUtils.getAddress(header), HEADER, UcxUtils.getAddress(data),
            size, flags, null), "active message");
    }

    static final class Answer implements Peer.Role {
        @Override
        public void run(Lines lines, String[] args) {
            try (Node node = new Node()) {
                Receiver receiver = new Receiver(node, REQUEST, args[0]);
                UcpEndpoint origin = null;

                lines.say(node.address());
                for (int expected : sizes(args[0])) {
                    int size = receiver.next(0);

                    if (size != expected) {
                        throw new AssertionError("size " + size);
                    }
                    origin = receiver.origins.get(0);
                    send(node, origin, ANSWER, size, 1, flag(args[0]));
                }
                node.expect(lines, "end");
                node.closed(origin.closeNonBlockingFlush(), origin);
            }
        }
    }

    @Test
    public void answered() {
        try (Peer peer = new Peer(Answer.class, protocol);
             Node node = new Node()) {
            Receiver receiver = new Receiver(node, ANSWER, protocol);
            UcpEndpoint endpoint = node.connect(node.hear(peer.lines));

            for (int size : sizes(protocol)) {
                send(node, endpoint, REQUEST, size, 0,
                     flag(protocol) | UcpConstants.UCP_AM_SEND_FLAG_REPLY);
                if (receiver.next(1) != size) {
                    throw new AssertionError("another size than " + size);
                }
            }
            peer.lines.say("end");
            peer.join(node);
        }
    }
}
