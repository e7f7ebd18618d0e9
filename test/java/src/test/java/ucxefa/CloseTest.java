package ucxefa;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.junit.Test;
import org.openucx.jucx.ucp.UcpEndpoint;
import org.openucx.jucx.ucp.UcpRequest;

/** Closing: nothing that was sent is lost, and everything can be opened again. */
public class CloseTest {
    private static final int MESSAGES = 500;

    private static int size(int message) {
        return message * 37 % 20_000 + 1;
    }

    /** Receives all messages that it is told of, of one endpoint. */
    static final class Receiver implements Peer.Role {
        @Override
        public void run(Lines lines, String[] args) {
            int count = Integer.parseInt(args[0]);

            try (Node node = new Node()) {
                lines.say(node.address());
                for (int i = 0; i < count; i++) {
                    ByteBuffer buffer = ByteBuffer.allocateDirect(size(i));

                    node.complete(node.worker.recvTaggedNonBlocking(
                        buffer, i, -1, null), "message " + i);
                    Pattern.check(buffer, i, "message " + i);
                    node.count(size(i));
                }
                lines.say("received");
            }
        }
    }

    /** Closed before the messages are out. */
    @Test
    public void flushed() {
        try (Peer peer = new Peer(Receiver.class, "" + MESSAGES);
             Node node = new Node()) {
            UcpEndpoint endpoint = node.connect(node.hear(peer.lines));
            List<UcpRequest> sent = new ArrayList<>();
            List<ByteBuffer> buffers = new ArrayList<>();

            for (int i = 0; i < MESSAGES; i++) {
                buffers.add(Pattern.of(size(i), i));
                sent.add(endpoint.sendTaggedNonBlocking(buffers.get(i), i,
                                                        null));
            }
            node.closed(endpoint.closeNonBlockingFlush(), endpoint);
            for (UcpRequest request : sent) {
                node.complete(request, "send");
            }
            node.expect(peer.lines, "received");
            peer.join(node);
        }
    }

    /** One endpoint for each message. */
    @Test
    public void openedAgain() {
        int count = 60;

        try (Peer peer = new Peer(Receiver.class, "" + count);
             Node node = new Node()) {
            String address = node.hear(peer.lines);

            for (int i = 0; i < count; i++) {
                UcpEndpoint endpoint = node.connect(address);

                node.complete(endpoint.sendTaggedNonBlocking(
                    Pattern.of(size(i), i), i, null), "send");
                node.closed(endpoint.closeNonBlockingFlush(), endpoint);
            }
            node.expect(peer.lines, "received");
            peer.join(node);
        }
    }

    /** Both sides in this JVM. */
    @Test
    public void contexts() {
        for (int i = 0; i < 20; i++) {
            try (Node from = new Node(); Node to = new Node()) {
                ByteBuffer buffer = ByteBuffer.allocateDirect(size(i));
                UcpEndpoint endpoint = from.connect(to.address());
                UcpRequest received = to.worker.recvTaggedNonBlocking(
                    buffer, i, -1, null);
                UcpRequest sent = endpoint.sendTaggedNonBlocking(
                    Pattern.of(size(i), i), i, null);

                from.await(() -> progressed(to) && sent.isCompleted() &&
                                 received.isCompleted(), "the message");
                Pattern.check(buffer, i, "message");
                to.count(size(i));

                UcpRequest closing = endpoint.closeNonBlockingFlush();
                from.await(() -> progressed(to) && closing.isCompleted(),
                           "the endpoint closes");
                from.closed(closing, endpoint);
            }
        }
    }

    private static boolean progressed(Node node) {
        try {
            node.worker.progress();
        } catch (Exception e) {
            throw new AssertionError(e);
        }
        return true;
    }
}
