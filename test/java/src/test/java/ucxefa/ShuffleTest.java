package ucxefa;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.Assert;
import org.junit.Test;
import org.openucx.jucx.UcxUtils;
import org.openucx.jucx.ucp.UcpEndpoint;
import org.openucx.jucx.ucp.UcpMemory;
import org.openucx.jucx.ucp.UcpRemoteKey;

/**
 * A shuffle as SparkUCX's: each mapper sorts its records by the hash of their
 * keys into one registered region, with an index of where each reducer's block
 * begins. A reducer, in another JVM or the same, gets from every mapper first two
 * entries of the index and then the block, by RMA. It adds up the values of each
 * key; the results are compared with those of one loop.
 *
 *   region of a mapper:  index[REDUCERS + 1] | block 0 | block 1 | ...
 */
public class ShuffleTest {
    private static final int EXECUTORS = 2;
    private static final int MAPPERS = 8;
    private static final int REDUCERS = 6;
    private static final int RECORDS = 100_000;
    private static final int KEYS = 5000;
    private static final int RECORD = 12;
    private static final int INDEX = (REDUCERS + 1) * 8;

    private static int key(int mapper, int record) {
        return (mapper * 7919 + record * 31) % KEYS;
    }

    private static long value(int mapper, int record) {
        return (long)mapper * 1_000_003 + (long)record * record;
    }

    private static int reducer(int key) {
        return Math.floorMod(Integer.hashCode(key * 0x9E3779B1), REDUCERS);
    }

    /** A region, as its address and key in one line. */
    private static final class Output {
        final int mapper;
        final long address;
        final ByteBuffer key;

        Output(String line) {
            String[] words = line.split(" ");

            mapper = Integer.parseInt(words[0]);
            address = Long.parseLong(words[1]);
            key = Node.bytes(words[2]);
        }
    }

    private static ByteBuffer map(int mapper) {
        int[] sizes = new int[REDUCERS];

        for (int i = 0; i < RECORDS; i++) {
            sizes[reducer(key(mapper, i))] += RECORD;
        }

        ByteBuffer region = ByteBuffer.allocateDirect(INDEX + RECORDS * RECORD);
        int[] next = new int[REDUCERS];
        int at = INDEX;

        for (int r = 0; r < REDUCERS; r++) {
            region.putLong(r * 8, at);
            next[r] = at;
            at += sizes[r];
        }
        region.putLong(REDUCERS * 8, at);
        for (int i = 0; i < RECORDS; i++) {
            int r = reducer(key(mapper, i));

            region.putInt(next[r], key(mapper, i));
            region.putLong(next[r] + 4, value(mapper, i));
            next[r] += RECORD;
        }
        return region;
    }

    private static String result(int reducer, Map<Integer, Long> sums) {
        return reducer + " " + sums.size() + " " + new TreeMap<>(sums).hashCode();
    }

    /** Runs the mappers and reducers whose number is its own, modulo EXECUTORS. */
    static final class Executor implements Peer.Role {
        private final Node node = new Node();
        private final List<UcpEndpoint> executors = new ArrayList<>();
        private final List<Output> outputs = new ArrayList<>();

        @Override
        public void run(Lines lines, String[] args) {
            int self = Integer.parseInt(args[0]);
            List<UcpMemory> registered = new ArrayList<>();

            lines.say(node.address());
            for (int e = 0; e < EXECUTORS; e++) {
                executors.add(node.connect(node.hear(lines)));
            }
            for (int m = self; m < MAPPERS; m += EXECUTORS) {
                UcpMemory memory = node.context.registerMemory(map(m));

                registered.add(memory);
                lines.say(m + " " + memory.getAddress() + " " +
                          Node.hex(memory.getRemoteKeyBuffer()));
            }
            for (int m = 0; m < MAPPERS; m++) {
                outputs.add(new Output(node.hear(lines)));
            }
            for (int r = self; r < REDUCERS; r += EXECUTORS) {
                lines.say(result(r, reduce(self, r)));
            }
            node.expect(lines, "end");
            registered.forEach(UcpMemory::deregister);
            node.close();
        }

        private UcpEndpoint of(Output output) {
            return executors.get(output.mapper % EXECUTORS);
        }

        private Map<Integer, Long> reduce(int self, int reducer) {
            Map<Integer, Long> sums = new HashMap<>();
            List<UcpRemoteKey> keys = new ArrayList<>();
            ByteBuffer index = ByteBuffer.allocateDirect(outputs.size() * 16);

            for (Output output : outputs) {
                keys.add(of(output).unpackRemoteKey(output.key));
            }
            for (int i = 0; i < outputs.size(); i++) {
                of(outputs.get(i)).getNonBlockingImplicit(
                    outputs.get(i).address + reducer * 8L, keys.get(i),
                    UcxUtils.getAddress(index) + i * 16L, 16);
            }
            node.complete(node.worker.flushNonBlocking(null), "the indices");

            List<ByteBuffer> blocks = new ArrayList<>();
            for (int i = 0; i < outputs.size(); i++) {
                Output output = outputs.get(i);
                long from = index.getLong(i * 16);
                int size = (int)(index.getLong(i * 16 + 8) - from);
                ByteBuffer block = ByteBuffer.allocateDirect(size);

                of(output).getNonBlockingImplicit(
                    output.address + from, keys.get(i), block);
                blocks.add(block);
                if (output.mapper % EXECUTORS != self) {
                    node.count(size);
                }
            }
            node.complete(node.worker.flushNonBlocking(null), "the blocks");
            for (ByteBuffer block : blocks) {
                while (block.hasRemaining()) {
                    sums.merge(block.getInt(), block.getLong(), Long::sum);
                }
            }
            keys.forEach(UcpRemoteKey::close);
            return sums;
        }
    }

    @Test
    public void sumsOfKeys() {
        List<Peer> executors = new ArrayList<>();

        try (Node node = new Node()) {
            List<String> addresses = new ArrayList<>();
            List<String> outputs = new ArrayList<>();
            List<String> results = new ArrayList<>();

            for (int e = 0; e < EXECUTORS; e++) {
                executors.add(new Peer(Executor.class, "" + e));
            }
            for (Peer peer : executors) {
                addresses.add(node.hear(peer.lines));
            }
            for (Peer peer : executors) {
                addresses.forEach(peer.lines::say);
            }
            for (int m = 0; m < MAPPERS; m++) {
                outputs.add(node.hear(executors.get(m % EXECUTORS).lines));
            }
            for (Peer peer : executors) {
                outputs.forEach(peer.lines::say);
            }
            for (int r = 0; r < REDUCERS; r++) {
                results.add(node.hear(executors.get(r % EXECUTORS).lines));
            }
            for (Peer peer : executors) {
                peer.lines.say("end");
            }
            for (Peer peer : executors) {
                peer.join(node);
            }
            Assert.assertEquals(expected(), results);
        } finally {
            executors.forEach(Peer::close);
        }
    }

    /** The same by one loop over all records. */
    private static List<String> expected() {
        List<Map<Integer, Long>> sums = new ArrayList<>();
        List<String> results = new ArrayList<>();

        for (int r = 0; r < REDUCERS; r++) {
            sums.add(new HashMap<>());
        }
        for (int m = 0; m < MAPPERS; m++) {
            for (int i = 0; i < RECORDS; i++) {
                sums.get(reducer(key(m, i)))
                    .merge(key(m, i), value(m, i), Long::sum);
            }
        }
        for (int r = 0; r < REDUCERS; r++) {
            results.add(result(r, sums.get(r)));
        }
        return results;
    }
}
