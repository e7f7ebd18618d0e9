package ucxefa;

import java.nio.ByteBuffer;
import org.junit.Test;
import org.openucx.jucx.UcxUtils;
import org.openucx.jucx.ucp.UcpEndpoint;
import org.openucx.jucx.ucp.UcpMemory;
import org.openucx.jucx.ucp.UcpRemoteKey;

/** Put and get, of memory that the other JVM registered. */
public class RmaTest {
    private static final int SIZE = 64 << 20;
    private static final int[] SIZES = {1, 8, 500, 8928, 8929, 100_001, 1 << 20,
                                        16 << 20, SIZE};

    /** Has the memory; checks what was put there. */
    static final class Owner implements Peer.Role {
        @Override
        public void run(Lines lines, String[] args) {
            try (Node node = new Node()) {
                ByteBuffer memory = Pattern.of(SIZE, 5);
                UcpMemory registered = node.context.registerMemory(memory);
                String line;

                node.exchange(lines);
                lines.say(registered.getAddress());
                lines.say(Node.hex(registered.getRemoteKeyBuffer()));
                while (!(line = node.hear(lines)).equals("end")) {
                    // offset, size, seed
                    String[] put = line.split(" ");
                    int from = Integer.parseInt(put[0]);
                    int size = Integer.parseInt(put[1]);

                    memory.position(from).limit(from + size);
                    Pattern.check(memory, Long.parseLong(put[2]), "put");
                    node.count(size);
                    memory.clear();
                    lines.say("checked");
                }
                registered.deregister();
            }
        }
    }

    /** The other JVM's memory. */
    private static final class Remote implements AutoCloseable {
        final Peer peer = new Peer(Owner.class);
        final Node node = new Node();
        final UcpEndpoint endpoint = node.exchange(peer.lines);
        final long address = Long.parseLong(node.hear(peer.lines));
        final UcpRemoteKey key =
            endpoint.unpackRemoteKey(Node.bytes(node.hear(peer.lines)));

        void checkPut(int offset, int size, long seed) {
            peer.lines.say(offset + " " + size + " " + seed);
            node.expect(peer.lines, "checked");
        }

        @Override
        public void close() {
            peer.lines.say("end");
            key.close();
            peer.join(node);
            node.close();
            peer.close();
        }
    }

    @Test
    public void get() {
        try (Remote remote = new Remote()) {
            ByteBuffer all = Pattern.of(SIZE, 5);

            for (int size : SIZES) {
                int offset = (SIZE - size) / 2;
                ByteBuffer to = ByteBuffer.allocateDirect(size);

                remote.node.complete(remote.endpoint.getNonBlocking(
                    remote.address + offset, remote.key, to, null), "get");
                all.position(offset).limit(offset + size);
                if (!to.equals(all)) {
                    throw new AssertionError("got other contents: " + size);
                }
                all.clear();
                remote.node.count(size);
            }
        }
    }

    @Test
    public void put() {
        try (Remote remote = new Remote()) {
            for (int size : SIZES) {
                int offset = (SIZE - size) / 3;
                ByteBuffer from = Pattern.of(size, size);

                remote.node.complete(remote.endpoint.putNonBlocking(
                    from, remote.address + offset, remote.key, null), "put");
                // until then it may still be under way
                remote.node.complete(
                    remote.endpoint.flushNonBlocking(null), "flush");
                remote.checkPut(offset, size, size);
            }
        }
    }

    /** As SparkUCX does: many without a request of their own, then one flush. */
    @Test
    public void getImplicit() {
        int size = 9000;
        int count = 500;

        try (Remote remote = new Remote()) {
            ByteBuffer all = Pattern.of(SIZE, 5);
            ByteBuffer to = ByteBuffer.allocateDirect(size * count);
            long local = UcxUtils.getAddress(to);

            for (int i = 0; i < count; i++) {
                remote.endpoint.getNonBlockingImplicit(
                    remote.address + (long)size * i, remote.key,
                    local + (long)size * i, size);
            }
            remote.node.complete(
                remote.node.worker.flushNonBlocking(null), "flush");
            all.limit(size * count);
            if (!to.equals(all)) {
                throw new AssertionError("got other contents");
            }
            remote.node.count(size * count);
        }
    }

    @Test
    public void putImplicit() {
        int size = 9000;
        int count = 500;

        try (Remote remote = new Remote()) {
            ByteBuffer from = Pattern.of(size * count, 9);
            long local = UcxUtils.getAddress(from);

            for (int i = 0; i < count; i++) {
                remote.endpoint.putNonBlockingImplicit(
                    local + (long)size * i, size,
                    remote.address + (long)size * i, remote.key);
            }
            remote.node.complete(
                remote.endpoint.flushNonBlocking(null), "flush");
            remote.checkPut(0, size * count, 9);
        }
    }
}
