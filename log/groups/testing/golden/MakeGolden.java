import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.util.List;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.coordinator.group.generated.GroupMetadataKey;
import org.apache.kafka.coordinator.group.generated.GroupMetadataValue;
import org.apache.kafka.coordinator.group.generated.OffsetCommitKey;
import org.apache.kafka.coordinator.group.generated.OffsetCommitValue;

// Prints what Kafka's own classes (kafka-group-coordinator) make of the records that records_test.cc knows by name.
// README.md beside this file says how to run it.
public class MakeGolden {
  static void print(String name, Message message, int schema, int version) {
    ObjectSerializationCache cache = new ObjectSerializationCache();
    ByteBuffer buffer = ByteBuffer.allocate(2 + message.size(cache, (short) schema));
    buffer.putShort((short) version);
    message.write(new ByteBufferAccessor(buffer), cache, (short) schema);
    StringBuilder hex = new StringBuilder();
    for (byte b : buffer.array()) hex.append(String.format("%02x", b));
    System.out.println(name + " " + version + " " + hex);
  }

  public static void main(String[] args) {
    // Since 4.0 the keys' classes have one version, and the number before it says what kind of record it is.
    boolean kinds = new OffsetCommitKey().highestSupportedVersion() == 0;
    OffsetCommitKey offsetKey = new OffsetCommitKey().setGroup("gr\u00fcn").setTopic("orders").setPartition(7);
    if (!kinds) print("offset-key", offsetKey, 0, 0);
    print("offset-key", offsetKey, kinds ? 0 : 1, 1);
    print("group-key", new GroupMetadataKey().setGroup("gr\u00fcn"), kinds ? 0 : 2, 2);

    for (int version = 0; version <= 4; version++) {
      OffsetCommitValue value = new OffsetCommitValue().setOffset(1234567890123L).setMetadata("m\u00e9ta")
          .setCommitTimestamp(1700000000123L);
      if (version >= 3) value.setLeaderEpoch(5);
      if (version == 1) value.setExpireTimestamp(1700000600123L);
      print("offset-value", value, version, version);
      if (version >= 3) print("offset-value-no-epoch", value.setLeaderEpoch(-1), version, version);
    }
    if (kinds) {
      try {
        OffsetCommitValue value = new OffsetCommitValue().setOffset(1234567890123L).setMetadata("m\u00e9ta")
            .setCommitTimestamp(1700000000123L).setLeaderEpoch(5);
        Method setTopicId = OffsetCommitValue.class.getMethod("setTopicId", org.apache.kafka.common.Uuid.class);
        setTopicId.invoke(value, org.apache.kafka.common.Uuid.fromString("AAAAAAAAAAAAAAAAAAAAAQ"));
        print("offset-value-with-topic-id", value, 4, 4);
      } catch (ReflectiveOperationException e) {
        throw new RuntimeException(e);
      }
    }

    for (int version = 0; version <= 4; version++) {
      GroupMetadataValue.MemberMetadata a = new GroupMetadataValue.MemberMetadata().setMemberId("a-1").setClientId("a")
          .setClientHost("/127.0.0.1").setSessionTimeout(10000).setSubscription(new byte[] {0, 1, 2})
          .setAssignment(new byte[] {3, 4});
      GroupMetadataValue.MemberMetadata b = new GroupMetadataValue.MemberMetadata().setMemberId("b-2").setClientId("")
          .setClientHost("/::1").setSessionTimeout(45000).setSubscription(new byte[0]).setAssignment(new byte[0]);
      GroupMetadataValue value = new GroupMetadataValue().setProtocolType("consumer").setGeneration(9)
          .setProtocol("range").setLeader("b-2").setMembers(List.of(a, b));
      GroupMetadataValue empty = new GroupMetadataValue().setProtocolType("").setGeneration(0).setProtocol(null)
          .setLeader(null).setMembers(List.of());
      if (version >= 1) a.setRebalanceTimeout(300000);
      if (version >= 2) value.setCurrentStateTimestamp(1700000000123L);
      if (version >= 3) a.setGroupInstanceId("a");
      print("group-value", value, version, version);
      print("group-value-empty", empty, version, version);
    }
  }
}
