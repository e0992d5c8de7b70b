// Measures what Powertools for AWS Lambda (TypeScript) adds to a function that does nothing. Takes sizes of payloads in
// bytes as arguments and prints {"store outcome size": µs of CPU per call}.
import { makeIdempotent, IdempotencyConfig } from '@aws-lambda-powertools/idempotency';
import { BasePersistenceLayer, IdempotencyRecord } from '@aws-lambda-powertools/idempotency/persistence';
import { DynamoDBPersistenceLayer } from '@aws-lambda-powertools/idempotency/dynamodb';
import { IdempotencyItemAlreadyExistsError } from '@aws-lambda-powertools/idempotency';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { marshall } from '@aws-sdk/util-dynamodb';
import { Readable } from 'node:stream';

const leastMilliseconds = Number(process.env.MEASURE_MS ?? 500);
const expiry = Math.floor(Date.now() / 1000) + 3600;

class Memory extends BasePersistenceLayer {
  #records = new Map();
  async _putRecord(record) {
    const there = this.#records.get(record.idempotencyKey);
    if (there && there.expiryTimestamp > Date.now() / 1000) {
      throw new IdempotencyItemAlreadyExistsError('there is one', there);
    }
    this.#records.set(record.idempotencyKey, record);
  }
  async _getRecord(key) { return this.#records.get(key); }
  async _updateRecord(record) { this.#records.set(record.idempotencyKey, record); }
  async _deleteRecord(record) { this.#records.delete(record.idempotencyKey); }
}

// A connection answers requests without a network: writes succeed, or an insert conflicts with a completed record.
class Connection {
  constructor(item) { this.item = item; }
  metadata = { handlerProtocol: 'http/1.1' };
  async handle() {
    const conflict = this.item !== undefined;
    const body = conflict
      ? JSON.stringify({ __type: 'com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException', Item: this.item })
      : '{}';
    return { response: {
      statusCode: conflict ? 400 : 200, headers: { 'content-type': 'application/x-amz-json-1.0' },
      body: Readable.from([Buffer.from(body)]),
    } };
  }
  destroy() {}
  updateHttpClientConfig() {}
  httpHandlerConfigs() { return {}; }
}

const client = (item) => new DynamoDBClient({
  region: 'us-east-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' }, requestHandler: new Connection(item),
});

// document is the payload and the result, as large as asked for.
function document(size) {
  const value = { order: 'o-00000000', lines: [] };
  for (let i = 0; JSON.stringify(value).length < size - 80; i++) {
    value.lines.push({ sku: `article-${i}`, amount: i + 0.25, count: i, name: 'A book about é', gift: i % 2 === 0 });
  }
  return value;
}

async function measure(store, useLocalCache, size, first) {
  const config = new IdempotencyConfig({ useLocalCache });
  config.registerLambdaContext({ getRemainingTimeInMillis: () => 30_000 });
  const result = document(size);
  const call = makeIdempotent(async () => result, { persistenceStore: store, config });
  const payload = document(size);
  let n = 0;
  const again = async () => {
    if (first) payload.order = `o-${String(++n).padStart(8, '0')}`;
    await call(payload);
  };
  for (let i = 0; i < 200; i++) await again(); // compile
  let calls = 0;
  const start = process.cpuUsage();
  for (;;) {
    for (let i = 0; i < 20; i++) await again();
    calls += 20;
    const spent = process.cpuUsage(start);
    if (spent.user + spent.system > leastMilliseconds * 1000) return (spent.user + spent.system) / calls;
  }
}

const rows = {};
for (const size of process.argv.slice(2).map(Number)) {
  const completed = marshall({ id: 'r', status: 'COMPLETED', expiration: expiry, data: document(size) });
  const table = (item) => new DynamoDBPersistenceLayer({ tableName: 'table', awsSdkV3Client: client(item) });
  rows[`memory first ${size}`] = await measure(new Memory(), false, size, true);
  rows[`memory replay ${size}`] = await measure(new Memory(), false, size, false);
  rows[`memory cached ${size}`] = await measure(new Memory(), true, size, false);
  rows[`sdk first ${size}`] = await measure(table(), false, size, true);
  rows[`sdk replay ${size}`] = await measure(table(completed), false, size, false);
}
console.log(JSON.stringify(rows));
