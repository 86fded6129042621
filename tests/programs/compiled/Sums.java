import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/* Sixteen sums in a pool of eight threads, long enough to be compiled while they run; then garbage. */
public class Sums {
    static long sum(int rounds) {
        long result = 0;
        for (int i = 0; i < rounds; i++)
            result = (result * 31 + i) % 1000003;
        return result;
    }

    public static void main(String[] words) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(8);
        List<Future<Long>> sums = new ArrayList<>();
        for (int n = 1; n <= 16; n++) {
            int rounds = 100000 * n;
            sums.add(pool.submit(() -> sum(rounds)));
        }
        for (Future<Long> sum : sums)
            System.out.println(sum.get());
        pool.shutdown();
        long bytes = 0;
        for (int n = 0; n < 2000; n++)
            bytes += new byte[100000].length;
        System.out.println(bytes);
    }
}
