import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.CompressionType;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MemoryRecordsBuilder;
import org.apache.kafka.common.record.RecordBatch;
import org.apache.kafka.common.record.TimestampType;

/** Prints a line for each codec and size: codec, records, the batch in hex, as Kafka's own producer builds it. */
public class Golden {
  public static void main(String[] arguments) {
    for (CompressionType type : CompressionType.values())
      for (int records : type == CompressionType.NONE ? new int[] {1, 3} : new int[] {1, 3, 1500}) System.out.println(type.name + " " + records + " " + batch(type, records));
  }

  static String batch(CompressionType type, int records) {
    ByteBuffer buffer = ByteBuffer.allocate(1 << 20);
    MemoryRecordsBuilder builder = MemoryRecords.builder(buffer, RecordBatch.MAGIC_VALUE_V2, Compression.of(type).build(),
        TimestampType.CREATE_TIME, 0L, RecordBatch.NO_TIMESTAMP, 4711L, (short) 3, 17, false, RecordBatch.NO_PARTITION_LEADER_EPOCH);
    for (int i = 0; i < records; ++i) {
      byte[] key = i % 3 == 1 ? null : ("key-" + i).getBytes(StandardCharsets.UTF_8);
      byte[] value = i % 5 == 4 ? null : ("value " + i + " " + "abcdefghij".repeat(i % 7)).getBytes(StandardCharsets.UTF_8);
      Header[] headers = i % 4 == 2 ? new Header[] {new RecordHeader("h", new byte[] {(byte) i})} : new Header[0];
      builder.append(1_700_000_000_000L + i * 3L, key, value, headers);
    }
    ByteBuffer built = builder.build().buffer();
    byte[] bytes = new byte[built.remaining()];
    built.get(bytes);
    return HexFormat.of().formatHex(bytes);
  }
}
