package ucxefa;

import java.nio.ByteBuffer;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.Assert;
import org.junit.Test;
import org.openucx.jucx.ucp.UcpEndpoint;
import org.openucx.jucx.ucp.UcpRequest;
import org.openucx.jucx.ucp.UcpWorkerParams;

/** A thread that sleeps until there are messages, as SparkUCX's listener does. */
public class WakeupTest {
    private static final int MESSAGES = 300;

    static final class Sender implements Peer.Role {
        @Override
        public void run(Lines lines, String[] args) {
            try (Node node = new Node()) {
                UcpEndpoint endpoint = node.exchange(lines);

                for (int i = 0; i < MESSAGES; i++) {
                    int size = i * 61 % 30_000 + 1;

                    node.complete(endpoint.sendTaggedNonBlocking(
                        Pattern.of(size, i), i, null), "send");
                    if (i % 10 == 0) {
                        // so that it falls asleep
                        node.expect(lines, "arrived");
                    }
                }
                node.expect(lines, "end");
            }
        }
    }

    @Test
    public void sleeps() throws Exception {
        try (Peer peer = new Peer(Sender.class);
             Node node = new Node(Node.params().requestWakeupFeature(),
                                  new UcpWorkerParams().requestThreadSafety())) {
            CountDownLatch ended = new CountDownLatch(1);
            String[] why = new String[1];
            Thread thread = new Thread(() -> {
                try {
                    receive(node, peer.lines);
                } catch (Throwable e) {
                    why[0] = e.toString();
                }
                ended.countDown();
            });

            node.exchange(peer.lines);
            thread.setDaemon(true);
            thread.start();
            Assert.assertTrue("never woke up",
                              ended.await(600, TimeUnit.SECONDS));
            Assert.assertNull(why[0]);

            // signal() wakes it, too
            Thread sleeper = new Thread(node.worker::waitForEvents);
            sleeper.setDaemon(true);
            sleeper.start();
            for (int i = 0; i < 6000 && sleeper.isAlive(); i++) {
                node.worker.signal();
                sleeper.join(100);
            }
            Assert.assertFalse("signal() wakes nobody", sleeper.isAlive());
            peer.lines.say("end");
            peer.join(node);
        }
    }

    private static void receive(Node node, Lines lines) throws Exception {
        for (int i = 0; i < MESSAGES; i++) {
            int size = i * 61 % 30_000 + 1;
            ByteBuffer buffer = ByteBuffer.allocateDirect(size);
            UcpRequest request = node.worker.recvTaggedNonBlocking(
                buffer, i, -1, null);

            while (!request.isCompleted()) {
                if (node.worker.progress() == 0) {
                    node.worker.waitForEvents();
                }
            }
            Pattern.check(buffer, i, "message " + i);
            node.count(size);
            if (i % 10 == 0) {
                lines.say("arrived");
            }
        }
    }
}
