// What Powertools for AWS Lambda (TypeScript) does, for tests to compare with. It runs where the packages are installed:
//
//	node --input-type=module --eval "$(cat powertools.mjs)" ids
//	                          reads documents, each a line of base64, and writes the ID of each. Of a document with two names
//	                          that differ in case only it writes a dash: they stay in their order, which is not part of JSON.
//	… call
//	                          reads {endpoint, table, prefix, config, calls: [{event, result}]}, and makes each call of an
//	                          idempotent function that returns result, or undefined without it. It writes what came of them:
//	                          [{ran, result} or {ran, error}].
import { readFileSync } from 'node:fs';
import { IdempotencyConfig, makeIdempotent } from '@aws-lambda-powertools/idempotency';
import { BasePersistenceLayer } from '@aws-lambda-powertools/idempotency/persistence';
import { DynamoDBPersistenceLayer } from '@aws-lambda-powertools/idempotency/dynamodb';

console.warn = () => {};
const input = readFileSync(0, 'utf8');

function ambiguous(value) {
  if (value === null || typeof value !== 'object') return false;
  const names = Array.isArray(value) ? [] : Object.keys(value).map((name) => name.toLowerCase());
  return new Set(names).size < names.length || Object.values(value).some(ambiguous);
}

switch (process.argv.at(-1)) {
  case 'ids': {
    const layer = new (class extends BasePersistenceLayer {})();
    layer.configure({ config: new IdempotencyConfig({}), keyPrefix: 'test' });
    for (const line of input.split('\n').slice(0, -1)) {
      const value = JSON.parse(Buffer.from(line, 'base64').toString());
      console.log(ambiguous(value) ? '-' : layer.getHashedIdempotencyKey(value));
    }
    break;
  }
  case 'call': {
    const { endpoint, table, prefix, config, calls } = JSON.parse(input);
    const persistenceStore = new DynamoDBPersistenceLayer({
      tableName: table,
      clientConfig: { endpoint, region: 'us-east-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } },
    });
    const outcomes = [];
    for (const { event, result } of calls) {
      let ran = false;
      const handler = makeIdempotent(
        async () => {
          ran = true;
          return result;
        },
        { persistenceStore, keyPrefix: prefix, config: new IdempotencyConfig(config ?? {}) },
      );
      try {
        outcomes.push({ result: await handler(event, { getRemainingTimeInMillis: () => 30_000 }), ran });
      } catch (error) {
        outcomes.push({ error: error.name, ran });
      }
    }
    console.log(JSON.stringify(outcomes));
  }
}
