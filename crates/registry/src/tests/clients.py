"""What the public Python clients do with a schema registry.

clients.py REGISTRY                     registers, asks, compares; prints records as `FORMAT HEX`
clients.py REGISTRY BROKERS ALL FROM TO writes the orders FROM to TO of ALL to the topics orders-avro, orders-protobuf and
                                        orders-json; the second half of all has a newer schema
clients.py REGISTRY BROKERS ALL         reads ALL orders from out-avro, out-protobuf and out-json, as Weir wrote them
"""

import sys
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

import base64
import json

from google.protobuf import descriptor_pb2, message_factory, timestamp_pb2
from google.protobuf.descriptor_pool import DescriptorPool

CUSTOMER = {"type": "record", "name": "Customer", "fields": [
    {"name": "name", "type": "string"}, {"name": "id", "type": {"type": "string", "logicalType": "uuid"}}]}


def order_schema(version):
    fields = [
        {"name": "id", "type": "int" if version == 1 else "long"},
        {"name": "status", "type": {"type": "enum", "name": "Status", "symbols": ["new", "paid"] + ["sent"] * (version - 1)}},
        {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "price", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}]},
        {"name": "customer", "type": ["null", CUSTOMER], "default": None},
        {"name": "tags", "type": {"type": "map", "values": "string"}},
        {"name": "items", "type": {"type": "array", "items": "double"}},
        {"name": "note", "type": ["null", "string", "long"]},
    ]
    if version == 2:
        fields.append({"name": "channel", "type": "string", "default": "web"})
    return json.dumps({"type": "record", "name": "Order", "namespace": "shop", "fields": fields})


def order(number, version):
    value = {
        "id": number,
        "status": ["new", "paid", "sent"][number % (version + 1)],
        "ts": datetime(2026, 11, 21, 8, tzinfo=timezone.utc) + timedelta(seconds=number),
        "day": date(2026, 11, 21),
        "price": None if number % 5 == 0 else Decimal(number) / 4,
        "customer": None if number % 2 else {"name": "Żaneta Świątek", "id": str(UUID(int=number))},
        "tags": {"env": "prod", "n": str(number)},
        "items": [0.5] * (number % 3),
        "note": [None, "a note", number][number % 3],
    }
    if version == 2:
        value["channel"] = "app"
    return value


MONEY = """
    syntax = "proto3";
    package common;
    message Money { int64 cents = 1; string currency = 2; }
"""


def order_proto(version):
    return """
        syntax = "proto3";
        package shop;
        import "common/money.proto";
        import "google/protobuf/timestamp.proto";
        enum Status { NEW = 0; PAID = 1; SENT = 2; }
        message Other { int32 o = 1; }
        message Shop {
          message Order {
            int64 id = 1;
            Status status = 2;
            google.protobuf.Timestamp ts = 3;
            common.Money price = 4;
            map<string, string> tags = 5;
            repeated double items = 6;
            optional string note = 7;
            oneof paid_by { string card = 8; uint64 voucher = 9; }
            %s
          }
        }
    """ % ("string channel = 10;" if version == 2 else "")


def order_class(registry, version):
    """The class of an order. The registry does what protoc does elsewhere."""
    pool = DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    references = []
    for subject, name, text in [("money", "common/money.proto", MONEY), ("order", "shop.proto", order_proto(version))]:
        number = registry.register_schema(f"compiled-{subject}-{version}", Schema(text, "PROTOBUF", references))
        file = descriptor_pb2.FileDescriptorProto()
        file.ParseFromString(base64.b64decode(registry.get_schema(number, fmt="serialized").schema_str))
        file.name = name
        pool.Add(file)
        references = [SchemaReference("common/money.proto", f"compiled-{subject}-{version}", 1)]
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Shop.Order"))


def order_message(of, number, version):
    message = of(id=number, status=number % (version + 1), tags={"env": "prod"}, items=[0.5] * (number % 3))
    message.ts.FromDatetime(datetime(2026, 11, 21, 8) + timedelta(seconds=number))
    if number % 5:
        message.price.cents = 25 * number
        message.price.currency = "EUR"
    if number % 2:
        message.card = str(number)
        message.note = ""
    else:
        message.voucher = 2**63 + number
    if version == 2:
        message.channel = "app"
    return message


JSON_SCHEMA = json.dumps({
    "$schema": "http://json-schema.org/draft-07/schema#", "title": "Order", "type": "object",
    "properties": {"id": {"type": "integer"}, "status": {"type": "string"}}, "required": ["id"],
})


def expect(happened, what):
    if not happened:
        sys.exit(f"wrong: {what}")


def main():
    registry = SchemaRegistryClient({"url": sys.argv[1]})
    avro = {version: AvroSerializer(registry, order_schema(version)) for version in (1, 2)}
    as_json = JSONSerializer(JSON_SCHEMA, registry)
    classes = {version: order_class(registry, version) for version in (1, 2)}
    options = {"use.deprecated.format": False, "skip.known.types": True}
    proto = {version: ProtobufSerializer(classes[version], registry, options) for version in (1, 2)}
    of = lambda topic: SerializationContext(topic, MessageField.VALUE)
    if len(sys.argv) == 4:
        return check(registry, of)
    if len(sys.argv) > 2:
        return write(avro, proto, classes, as_json, of)
    for number in range(4):
        version = 1 + number // 2
        value = avro[version](order(number, version), of("orders-avro"))
        back = AvroDeserializer(registry)(value, of("orders-avro"))
        expect(back["id"] == number, f"the client reads what it wrote: {back}")
        print("avro", value.hex())
        newest = int.from_bytes(value[1:5], "big")
    for number in range(4):
        version = 1 + number // 2
        message = order_message(classes[version], number, version)
        value = proto[version](message, of("orders-protobuf"))
        back = ProtobufDeserializer(classes[version], {"use.deprecated.format": False}, registry)(value, of("orders-protobuf"))
        expect(back == message, f"the client reads what it wrote: {back}")
        print("protobuf", value.hex())
    print("json", as_json({"id": 7, "status": "new"}, of("orders-json")).hex())

    back = JSONDeserializer(JSON_SCHEMA, schema_registry_client=registry)
    expect(back(as_json({"id": 7}, of("orders-json")), of("orders-json")) == {"id": 7}, "the client reads what it wrote")

    subjects = [subject for subject in registry.get_subjects() if not subject.startswith("compiled-")]
    expect(subjects == ["common/money.proto", "orders-avro-value", "orders-json-value", "orders-protobuf-value"], subjects)
    expect(registry.get_versions("orders-avro-value") == [1, 2], "two versions")
    latest = registry.get_latest_version("orders-avro-value")
    expect((latest.version, latest.schema_id) == (2, newest), latest)
    narrower = Schema(order_schema(2).replace('"long"', '"int"', 1), "AVRO")
    expect(not registry.test_compatibility("orders-avro-value", narrower), "a narrower schema is not compatible")
    expect(registry.test_compatibility("orders-avro-value", Schema(order_schema(2), "AVRO")), "the same is")
    try:
        registry.register_schema("orders-avro-value", narrower)
        sys.exit("wrong: it was registered")
    except Exception as error:
        expect(error.http_status_code == 409, error)
    try:
        registry.get_schema(99)
        sys.exit("wrong: it is there")
    except Exception as error:
        expect(error.error_code == 40403, error)
    references = registry.get_latest_version("orders-protobuf-value").schema.references
    other_kind = Schema(order_proto(2).replace("int64 id", "string id"), "PROTOBUF", references)
    expect(not registry.test_compatibility("orders-protobuf-value", other_kind), "another kind is not compatible")
    wider = Schema(order_proto(2).replace("int64 id", "uint64 id"), "PROTOBUF", references)
    expect(registry.test_compatibility("orders-protobuf-value", wider), "what is written alike is")
    closed = json.dumps({**json.loads(JSON_SCHEMA), "required": ["id", "status"]})
    expect(not registry.test_compatibility("orders-json-value", Schema(closed, "JSON")), "what was not required is not there")
    registry.set_compatibility("orders-avro-value", level="NONE")
    expect(registry.get_compatibility("orders-avro-value") == "NONE", "a level of its own")
    expect(registry.delete_subject("orders-json-value") == [1], "deleted")


def write(avro, proto, classes, as_json, of):
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": sys.argv[2]})
    rows, first, end = (int(argument) for argument in sys.argv[3:6])
    for number in range(first, end):
        version = 1 + (number * 2) // rows
        value = avro[version](order(number, version), of("orders-avro"))
        producer.produce("orders-avro", value, key=str(number))
        message = order_message(classes[version], number, version)
        producer.produce("orders-protobuf", proto[version](message, of("orders-protobuf")), key=str(number))
        producer.produce("orders-json", as_json({"id": number, "status": "new"}, of("orders-json")))
        producer.poll(0)
        if number == rows // 2:
            producer.produce("orders-avro", b"no Avro at all")
            producer.produce("orders-avro", b"\0\0\0\x27\x0f" + value[5:])
    expect(producer.flush(60) == 0, "everything is written")


def class_of(registry, value):
    """The class of the message that a record says it is."""
    schema = registry.get_schema(int.from_bytes(value[1:5], "big"), fmt="serialized")
    pool, file = DescriptorPool(), descriptor_pb2.FileDescriptorProto()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    file.ParseFromString(base64.b64decode(schema.schema_str))
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{file.package}.{file.message_type[0].name}"))


def check(registry, of):
    from confluent_kafka import Consumer

    rows, seen, classes = int(sys.argv[3]), {"out-avro": set(), "out-protobuf": set(), "out-json": set()}, {}
    consumer = Consumer({"bootstrap.servers": sys.argv[2], "group.id": "check", "auto.offset.reset": "earliest",
                         "isolation.level": "read_committed"})
    consumer.subscribe(list(seen))
    while any(len(ids) < rows for ids in seen.values()):
        record = consumer.poll(30)
        expect(record is not None and record.error() is None, f"records: {record}, {[len(ids) for ids in seen.values()]}")
        topic, value = record.topic(), record.value()
        if topic == "out-avro":
            back = AvroDeserializer(registry)(value, of(topic))
        elif topic == "out-json":
            # Checks the record against its schema.
            back = JSONDeserializer(None, schema_registry_client=registry)(value, of(topic))
            back["ts"] = datetime.fromisoformat(back["ts"].replace("Z", "+00:00"))
            back["day"] = date.fromisoformat(back["day"][:10])
            back["price"] = back["price"] and Decimal(back["price"])
        else:
            if value[:5] not in classes:
                classes[value[:5]] = ProtobufDeserializer(class_of(registry, value), {"use.deprecated.format": False}, registry)
            message = classes[value[:5]](value, of(topic))
            back = {field.name: getattr(message, field.name) if field.is_repeated or message.HasField(field.name) else None
                    for field in message.DESCRIPTOR.fields}
            back["ts"] = back["ts"].ToDatetime(timezone.utc)
            back["day"] = date.fromisoformat(back["day"])
            back["price"] = back["price"] and Decimal(back["price"])
            back["customer"] = back["customer"] and {"name": back["customer"].name, "id": back["customer"].id}
            back["tags"], back["items"] = dict(back["tags"]), list(back["items"])
            back["note"] = back["note"] and {"string": back["note"].string or None, "long": back["note"].long or None}
        number = back["id"]
        version = 1 + (number * 2) // rows
        wanted = order(number, version)
        wanted["note"] = [None, {"string": "a note", "long": None}, {"string": None, "long": number}][number % 3]
        wanted["channel"] = wanted.get("channel")
        for name, value in wanted.items():
            expect(back.get(name) == value, f"{topic}: {name} of {number} is {back.get(name)!r}, not {value!r}")
        expect(record.key() == str(number).encode(), f"{topic}: the key is {record.key()}")
        expect(number not in seen[topic], f"{topic}: {number} is there twice")
        seen[topic].add(number)


main()
