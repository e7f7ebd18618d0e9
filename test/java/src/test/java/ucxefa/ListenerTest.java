package ucxefa;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import org.junit.Test;
import org.openucx.jucx.ucp.UcpConnectionRequest;
import org.openucx.jucx.ucp.UcpEndpoint;
import org.openucx.jucx.ucp.UcpEndpointParams;
import org.openucx.jucx.ucp.UcpListener;
import org.openucx.jucx.ucp.UcpListenerParams;
import org.openucx.jucx.ucp.UcpParams;

/**
 * Connections by IP address and port, for which UCX needs tcp, whatever carries
 * the data then.
 */
public class ListenerTest {
    private static final int[] SIZES = {1, 5000, 1 << 20, 32 << 20};

    private static UcpParams params() {
        String tls = System.getenv("UCX_TLS");

        return tls == null || tls.contains("tcp") ? Node.params() :
               Node.params().setConfig("TLS", tls + ",tcp");
    }

    static final class Server implements Peer.Role {
        private UcpConnectionRequest request;

        @Override
        public void run(Lines lines, String[] args) {
            try (Node node = new Node(params())) {
                UcpListener listener = node.worker.newListener(
                    new UcpListenerParams()
                    .setSockAddr(new InetSocketAddress(
                        InetAddress.getLoopbackAddress(), 0))
                    .setConnectionHandler(r -> request = r));

                lines.say(listener.getAddress().getPort());
                node.await(() -> request != null, "a connection");
                UcpEndpoint endpoint = node.connect(
                    new UcpEndpointParams().setConnectionRequest(request));
                for (int size : SIZES) {
                    ByteBuffer buffer = ByteBuffer.allocateDirect(size);

                    node.complete(node.worker.recvTaggedNonBlocking(
                        buffer, size, -1, null), "receive");
                    Pattern.check(buffer, size, "there, " + size);
                    node.count(size);
                    node.complete(endpoint.sendTaggedNonBlocking(
                        Pattern.fill(buffer, -size), -size, null), "send");
                }
                node.expect(lines, "end");
                node.closed(endpoint.closeNonBlockingForce(), endpoint);
                listener.close();
            }
        }
    }

    @Test
    public void connects() {
        try (Peer peer = new Peer(Server.class); Node node = new Node(params())) {
            UcpEndpoint endpoint = node.connect(
                new UcpEndpointParams().setSocketAddress(new InetSocketAddress(
                    InetAddress.getLoopbackAddress(),
                    Integer.parseInt(node.hear(peer.lines)))));

            for (int size : SIZES) {
                ByteBuffer buffer = Pattern.of(size, size);

                node.complete(endpoint.sendTaggedNonBlocking(buffer, size,
                                                             null), "send");
                node.complete(node.worker.recvTaggedNonBlocking(
                    buffer, -size, -1, null), "receive");
                Pattern.check(buffer, -size, "back, " + size);
                node.count(size);
            }
            peer.lines.say("end");
            peer.join(node);
        }
    }
}
