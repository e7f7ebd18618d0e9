import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerTaskEnd;
import scala.Tuple2;

/**
 * A Spark job of four shuffles, whose results are the same whatever shuffle
 * manager carries them: grouping, sorting, a join, and blocks of 1 MB. It prints
 * a digest of each, and how many bytes executors read from others. Settings come
 * as -Dspark.NAME=VALUE.
 */
public final class ShuffleJob {
    /**
     * As many mappers as reducers: SparkUCX 1.0 sizes its table of mappers by the
     * number of reducers.
     */
    private static final int PARTITIONS = 8;
    private static final int RECORDS = 100_000;
    private static final int KEYS = 10_000;

    private ShuffleJob() {
    }

    private static List<Integer> numbers(int count) {
        List<Integer> all = new ArrayList<>();

        for (int i = 0; i < count; i++) {
            all.add(i);
        }
        return all;
    }

    private static int key(int record) {
        return (int)(record * 2654435761L % KEYS);
    }

    private static long mix(long hash, long value) {
        hash = (hash ^ value) * 0x9E3779B97F4A7C15L;
        return hash ^ (hash >>> 31);
    }

    /** Sorted by key, so that the order of arrival does not matter. */
    private static long digest(JavaPairRDD<Integer, Long> values) {
        List<Tuple2<Integer, Long>> all = new ArrayList<>(values.collect());
        long hash = all.size();

        all.sort((a, b) -> a._1.compareTo(b._1));
        for (Tuple2<Integer, Long> value : all) {
            hash = mix(mix(hash, value._1), value._2);
        }
        return hash;
    }

    private static byte[] block(int number) {
        byte[] bytes = new byte[1 << 20];
        long hash = number;

        for (int i = 0; i < bytes.length; i += 8) {
            hash = mix(hash, i);
            for (int j = 0; j < 8; j++) {
                bytes[i + j] = (byte)(hash >>> (8 * j));
            }
        }
        return bytes;
    }

    private static void run(JavaSparkContext spark) {
        JavaPairRDD<Integer, Long> records = spark
            .parallelize(numbers(RECORDS), PARTITIONS)
            .mapToPair(i -> new Tuple2<>(key(i), (long)i * i));

        System.out.println("digest group " + digest(
            records.groupByKey(PARTITIONS).mapValues(values -> {
                long sum = 0;

                for (long value : values) {
                    sum += mix(0, value);
                }
                return sum;
            })));

        long hash = 0;
        for (Tuple2<Integer, Long> value :
                 records.sortByKey(true, PARTITIONS)
                 .mapPartitionsToPair(all -> {
                     List<Tuple2<Integer, Long>> sums = new ArrayList<>();
                     int last = Integer.MIN_VALUE;
                     long sum = 0;

                     while (all.hasNext()) {
                         Tuple2<Integer, Long> next = all.next();

                         if (next._1 < last) {
                             throw new IllegalStateException("not sorted");
                         }
                         last = next._1;
                         sum += mix(next._1, next._2);
                     }
                     sums.add(new Tuple2<>(last, sum));
                     return sums.iterator();
                 }).collect()) {
            hash = mix(mix(hash, value._1), value._2);
        }
        System.out.println("digest sort " + hash);

        System.out.println("digest join " + digest(
            records.reduceByKey((a, b) -> a + b, PARTITIONS)
            .join(records.mapValues(value -> value * 7)
                  .reduceByKey(Math::max, PARTITIONS), PARTITIONS)
            .mapValues(both -> mix(both._1, both._2))));

        System.out.println("digest blocks " + digest(
            spark.parallelize(numbers(64), PARTITIONS)
            .mapToPair(i -> new Tuple2<>(i * 31 % 64, block(i)))
            .partitionBy(new org.apache.spark.HashPartitioner(PARTITIONS))
            .mapValues(bytes -> (long)Arrays.hashCode(bytes))));
    }

    public static void main(String[] args) {
        AtomicLong read = new AtomicLong();

        try (JavaSparkContext spark = new JavaSparkContext(
                 new SparkConf().setAppName("shuffle"))) {
            spark.sc().addSparkListener(new SparkListener() {
                @Override
                public void onTaskEnd(SparkListenerTaskEnd task) {
                    read.addAndGet(task.taskMetrics().shuffleReadMetrics()
                                   .remoteBytesRead());
                }
            });
            run(spark);
        }
        System.out.println("payload " + read);
    }
}
