package ucxefa;

import java.nio.ByteBuffer;
import org.junit.Assert;
import org.junit.Test;
import org.openucx.jucx.UcxException;
import org.openucx.jucx.UcxUtils;
import org.openucx.jucx.ucp.UcpConstants;
import org.openucx.jucx.ucp.UcpEndpoint;
import org.openucx.jucx.ucp.UcpMemory;
import org.openucx.jucx.ucp.UcpParams;
import org.openucx.jucx.ucp.UcpRemoteKey;
import org.openucx.jucx.ucp.UcpRequest;
import org.openucx.jucx.ucs.UcsConstants;

/**
 * The other JVM is killed: the error handler is called, what waits for that JVM
 * ends with an error, and the worker goes on with others.
 */
public class DeathTest {
    /** UCX looks every second whether a peer lives that sends nothing. */
    private static UcpParams params() {
        return Node.params().setConfig("KEEPALIVE_INTERVAL", "1s");
    }

    /** Takes one message, shows its memory, and waits for what never comes. */
    static final class Victim implements Peer.Role {
        @Override
        public void run(Lines lines, String[] args) {
            try (Node node = new Node(params())) {
                ByteBuffer memory = Pattern.of(1 << 20, 3);
                UcpMemory registered = node.context.registerMemory(memory);
                UcpEndpoint endpoint = node.exchange(lines);

                lines.say(registered.getAddress());
                lines.say(Node.hex(registered.getRemoteKeyBuffer()));
                node.complete(node.worker.recvTaggedNonBlocking(
                    ByteBuffer.allocateDirect(8), 1, -1, null), "receive");
                // so that both sides know each other
                node.complete(endpoint.sendTaggedNonBlocking(
                    ByteBuffer.allocateDirect(8), 2, null), "send");
                node.expect(lines, "end");
                registered.deregister();
            }
        }
    }

    private static void greet(Node node, UcpEndpoint endpoint) {
        UcpRequest greeting = node.worker.recvTaggedNonBlocking(
            ByteBuffer.allocateDirect(8), 2, -1, null);

        node.complete(endpoint.sendTaggedNonBlocking(
            ByteBuffer.allocateDirect(8), 1, null), "send");
        node.complete(greeting, "receive");
        node.count(8);
    }

    private static void fails(Node node, UcpRequest request, String what) {
        Assert.assertNotEquals(what, UcsConstants.STATUS.UCS_OK,
                               node.status(request, what));
    }

    private static void getFails(Node node, UcpEndpoint endpoint, long remote,
                                 UcpRemoteKey key) {
        try {
            fails(node, endpoint.getNonBlocking(
                remote, key, ByteBuffer.allocateDirect(1 << 20), null), "get");
        } catch (UcxException e) {
            // tcp knows already, as its socket is closed
        }
    }

    /** The worker, after all that, with somebody else. */
    private static void another(Node node) {
        node.failure = 0;
        try (Peer peer = new Peer(Victim.class)) {
            UcpEndpoint endpoint = node.exchange(peer.lines);

            node.hear(peer.lines);
            node.hear(peer.lines);
            greet(node, endpoint);
            peer.lines.say("end");
            node.closed(endpoint.closeNonBlockingFlush(), endpoint);
            peer.join(node);
        }
    }

    @Test
    public void whileItWaitsForData() {
        try (Peer peer = new Peer(Victim.class); Node node = new Node(params())) {
            UcpEndpoint endpoint = node.exchange(peer.lines);
            long remote = Long.parseLong(node.hear(peer.lines));
            UcpRemoteKey key = endpoint.unpackRemoteKey(
                Node.bytes(node.hear(peer.lines)));
            ByteBuffer big = Pattern.of(8 << 20, 4);
            ByteBuffer stream = ByteBuffer.allocateDirect(100);

            greet(node, endpoint);
            UcpRequest streamed = endpoint.recvStreamNonBlocking(
                UcxUtils.getAddress(stream), 100,
                UcpConstants.UCP_STREAM_RECV_FLAG_WAITALL, null);
            // rendezvous: nobody receives it
            UcpRequest sent = endpoint.sendTaggedNonBlocking(big, 3, null);
            peer.kill();
            getFails(node, endpoint, remote, key);
            node.await(() -> node.failure != 0, "the error handler is called");
            fails(node, sent, "send");
            fails(node, streamed, "receive from the stream");
            key.close();
            node.closed(endpoint.closeNonBlockingForce(), endpoint);
            another(node);
        }
    }

    @Test
    public void whileNothingIsSent() {
        try (Peer peer = new Peer(Victim.class); Node node = new Node(params())) {
            UcpEndpoint endpoint = node.exchange(peer.lines);

            node.hear(peer.lines);
            node.hear(peer.lines);
            greet(node, endpoint);
            peer.kill();
            node.await(() -> node.failure != 0, "the error handler is called");
            node.closed(endpoint.closeNonBlockingForce(), endpoint);
            another(node);
        }
    }
}
