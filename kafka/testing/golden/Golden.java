import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.InputStream;
import java.lang.reflect.Field;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.types.RawTaggedField;

/**
 * Prints messages as Apache Kafka's own classes encode them. Arguments: NAME:FIRST:LAST for each API, "errors", or
 * "fields" and then APIs: path, type, first and last version, first nullable version, tag and default of each field.
 * A line: name, version, request or response, sample, bytes in hex, JSON of Kafka's converter (blanks between).
 * Samples: filled (every field), sparse (null, empty, smallest), long (strings of 130 characters), unknown (filled, and
 * a tagged field that nobody knows in each struct). Versions that this release of Kafka does not have are left out.
 */
public class Golden {
  /** One record, key "k", value "v", as MemoryRecords.withRecords() makes it. */
  static final String BATCH = "AAAAAAAAAAAAAAA6/////wLpm43YAAAAAAAAAAABi8/laAAAAAGLz+VoAP//////////////////AAAAARAAAAACawJ2AA==";
  static final JsonNodeFactory JSON = JsonNodeFactory.instance;
  static final ObjectMapper MAPPER = new ObjectMapper().configure(JsonParser.Feature.ALLOW_COMMENTS, true);

  final JsonNode structs;
  final short version;
  final String sample;
  int count = 0;

  Golden(JsonNode structs, short version, String sample) {
    this.structs = structs;
    this.version = version;
    this.sample = sample;
  }

  static boolean in(String range, int version) {
    if (range.equals("none")) return false;
    String[] ends = range.replace("+", "-99").split("-");
    return version >= Integer.parseInt(ends[0]) && version <= Integer.parseInt(ends[ends.length - 1]);
  }

  boolean sparse() { return sample.equals("sparse"); }

  ObjectNode struct(JsonNode fields, int depth) {
    ObjectNode out = JSON.objectNode();
    for (JsonNode field : fields) {
      if (!in(field.get("versions").asText(), version)) continue;
      if (field.has("tag") && sparse()) continue;
      String name = field.get("name").asText();
      out.set(name.substring(0, 1).toLowerCase() + name.substring(1), value(field, depth));
    }
    return out;
  }

  JsonNode value(JsonNode field, int depth) {
    String type = field.get("type").asText();
    boolean nullable = field.has("nullableVersions") && in(field.get("nullableVersions").asText(), version);
    if (sparse() && nullable) return JSON.nullNode();
    if (!type.startsWith("[]")) return scalar(type, field, depth);
    ArrayNode out = JSON.arrayNode();
    int elements = sparse() ? (depth == 0 ? 1 : 0) : depth < 2 && !sample.equals("long") ? 2 : 1;
    for (int i = 0; i < elements; i++) out.add(scalar(type.substring(2), field, depth + 1));
    return out;
  }

  JsonNode scalar(String type, JsonNode field, int depth) {
    count++;
    switch (type) {
      case "bool": return JSON.booleanNode(!sparse());
      case "int8": return JSON.numberNode(sparse() ? Byte.MIN_VALUE : (byte) (count & 127));
      case "int16": return JSON.numberNode(sparse() ? Short.MIN_VALUE : (short) (count * 257));
      case "int32": return JSON.numberNode(sparse() ? Integer.MIN_VALUE : count * 16_909_060);
      case "int64": return JSON.numberNode(sparse() ? Long.MIN_VALUE : count * 72_623_859_790_382_856L);
      case "uuid": return JSON.textNode((sparse() ? Uuid.ZERO_UUID : new Uuid(count * 0x0102030405060708L, -count)).toString());
      case "string": return JSON.textNode(sparse() ? "" : count % 5 == 4 ? "\u00fc\"" + count : sample.equals("long") ? ("s" + count).repeat(130).substring(0, 130) : "s" + count);
      case "bytes": return JSON.textNode(sparse() ? "" : base64(new byte[] {(byte) count, 2, 3, -1}, count % 3 + 1));
      case "records": return JSON.textNode(BATCH);
      default: return struct(field.has("fields") ? field.get("fields") : structs.get(type), depth);
    }
  }

  static String base64(byte[] bytes, int length) {
    return Base64.getEncoder().encodeToString(Arrays.copyOf(bytes, length));
  }

  /** Into a message and all structs in it; `values` says which fields this version has. */
  static void addUnknown(Object value, JsonNode values) throws Exception {
    if (!(value instanceof Message message)) return;
    message.unknownTaggedFields().add(new RawTaggedField(1000, new byte[] {1, 2, 3}));
    for (Field field : message.getClass().getDeclaredFields()) {
      if (!values.has(field.getName())) continue;
      field.setAccessible(true);
      Object inner = field.get(message);
      JsonNode node = values.get(field.getName());
      addUnknown(inner, node);
      if (!(inner instanceof Iterable<?> elements)) continue;
      int i = 0;
      for (Object element : elements) addUnknown(element, node.get(i++));
    }
  }

  static void print(String name, String kind, short version, String sample, JsonNode schema) throws Exception {
    String data = "org.apache.kafka.common.message." + name + kind + "Data";
    ObjectNode values = new Golden(structs(schema), version, sample).struct(schema.get("fields"), 0);
    Class<?> converter = Class.forName(data + "JsonConverter");
    Message message = (Message) converter.getMethod("read", JsonNode.class, short.class).invoke(null, values, version);
    if (sample.equals("unknown")) addUnknown(message, values);
    ByteBuffer bytes = MessageUtil.toVersionPrefixedByteBuffer(version, message);
    bytes.getShort();
    byte[] raw = new byte[bytes.remaining()];
    bytes.get(raw);
    Object json = converter.getMethod("write", Class.forName(data), short.class, boolean.class).invoke(null, message, version, false);
    System.out.println(name + " " + version + " " + kind.toLowerCase() + " " + sample + " " + (raw.length == 0 ? "-" : HexFormat.of().formatHex(raw)) + " " + json);
  }

  static int first(String range) { return Integer.parseInt(range.replace("+", "-99").split("-")[0]); }

  static int last(String range) { return Integer.parseInt(range.replace("+", "-99").split("-").length > 1 ? range.replace("+", "-99").split("-")[1] : range); }

  static void fields(String path, JsonNode fields, JsonNode structs, int first, int last) {
    for (JsonNode field : fields) {
      String range = field.get("versions").asText();
      int from = Math.max(first, first(range));
      int to = Math.min(last, last(range));
      if (from > to) continue;
      String type = field.get("type").asText();
      String element = type.replace("[]", "");
      boolean struct = Character.isUpperCase(element.charAt(0));
      String nullable = "-";
      if (field.has("nullableVersions") && last(field.get("nullableVersions").asText()) >= to && first(field.get("nullableVersions").asText()) <= to)
        nullable = "" + Math.max(from, first(field.get("nullableVersions").asText()));
      String value = "-";
      if (type.equals("bool")) value = field.has("default") ? field.get("default").asText() : "false";
      if (type.startsWith("int")) value = field.has("default") ? Long.decode(field.get("default").asText()).toString() : "0";
      String here = path + "." + field.get("name").asText();
      System.out.println(here + " " + (struct ? type.replace(element, "struct") : type) + " " + from + " " + to + " " + nullable + " "
          + (field.has("tag") ? field.get("tag").asText() : "-") + " " + value);
      if (struct) fields(here, field.has("fields") ? field.get("fields") : structs.get(element), structs, first, last);
    }
  }

  static ObjectNode structs(JsonNode schema) {
    ObjectNode out = JSON.objectNode();
    if (schema.has("commonStructs")) for (JsonNode s : schema.get("commonStructs")) out.set(s.get("name").asText(), s.get("fields"));
    return out;
  }

  public static void main(String[] arguments) throws Exception {
    boolean fields = false;
    for (String argument : arguments) {
      if (argument.equals("fields")) {
        fields = true;
        continue;
      }
      if (argument.equals("errors")) {
        for (Errors error : Errors.values())
          System.out.println("error " + error.code() + " " + error.name() + " " + (error.exception() instanceof org.apache.kafka.common.errors.RetriableException));
        continue;
      }
      String[] parts = argument.split(":");
      int last = Integer.parseInt(parts[2]);
      for (String kind : List.of("Request", "Response")) {
        JsonNode schema;
        try (InputStream in = Golden.class.getClassLoader().getResourceAsStream("common/message/" + parts[0] + kind + ".json")) {
          schema = MAPPER.readTree(in);
        }
        if (fields) {
          fields(parts[0] + kind, schema.get("fields"), structs(schema), Integer.parseInt(parts[1]), last);
          continue;
        }
        for (short v = Short.parseShort(parts[1]); v <= last; v++) {
          if (!in(schema.get("validVersions").asText(), v)) continue;
          List<String> samples = new ArrayList<>(List.of("filled", "sparse"));
          if (v == last) samples.add("long");
          if (v == last && in(schema.get("flexibleVersions").asText(), v)) samples.add("unknown");
          for (String sample : samples) print(parts[0], kind, v, sample, schema);
        }
      }
    }
  }
}
