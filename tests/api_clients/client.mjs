// node client.mjs TARGET SPEC_JSON_FILE: an independent client of a host, made of nothing but grpc-js and the host's own reflection.
// Applies the spec, watches until all its tasks run, reads the logs, deletes the pipeline and watches it go. Prints JSON Lines.
// Exit code 0: all of that went well; 1: something did not; 2: wrong usage.
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

const npm = process.env.PUMA_NPM_DIR || join(dirname(fileURLToPath(import.meta.url)), '../../build/npm');
const require = createRequire(join(npm, 'package.json'));
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const TIMEOUT_MS = 1000 * Number(process.env.PUMA_TIMEOUT_S || 60);
const LOAD_OPTIONS = {keepCase: true, longs: Number, enums: String, oneofs: true, defaults: true};

const print = (event, fields = {}) => console.log(JSON.stringify({event, ...fields}));
const deadline = () => ({deadline: Date.now() + TIMEOUT_MS});
const call = (client, method, request) => new Promise((resolve, reject) => {
  client[method](request, deadline(), (error, response) => (error ? reject(error) : resolve(response)));
});

// The messages of the reflection service, as far as they are needed.
const reflectionService = {
  nested: {grpc: {nested: {reflection: {nested: {v1alpha: {nested: {
    ServerReflection: {methods: {ServerReflectionInfo: {
      requestType: 'ServerReflectionRequest', requestStream: true, responseType: 'ServerReflectionResponse', responseStream: true}}},
    ServerReflectionRequest: {fields: {file_containing_symbol: {type: 'string', id: 4}, list_services: {type: 'string', id: 7}}},
    ServerReflectionResponse: {fields: {
      file_descriptor_response: {type: 'FileDescriptorResponse', id: 4},
      list_services_response: {type: 'ListServiceResponse', id: 6},
      error_response: {type: 'ErrorResponse', id: 7}}},
    FileDescriptorResponse: {fields: {file_descriptor_proto: {rule: 'repeated', type: 'bytes', id: 1}}},
    ListServiceResponse: {fields: {service: {rule: 'repeated', type: 'ServiceResponse', id: 1}}},
    ServiceResponse: {fields: {name: {type: 'string', id: 1}}},
    ErrorResponse: {fields: {error_code: {type: 'int32', id: 1}, error_message: {type: 'string', id: 2}}},
  }}}}}}}};

// A FileDescriptorSet {repeated FileDescriptorProto file = 1} of encoded files.
function descriptorSet(files) {
  const varint = (n) => (n < 128 ? [n] : [(n & 127) | 128, ...varint(n >>> 7)]);
  return Buffer.concat(files.flatMap((file) => [Buffer.from([0x0a, ...varint(file.length)]), file]));
}

// Asks the host for the protos of its services, and makes clients of them.
async function reflect(target, credentials) {
  const definition = grpc.loadPackageDefinition(loader.fromJSON(reflectionService, LOAD_OPTIONS));
  const reflection = new definition.grpc.reflection.v1alpha.ServerReflection(target, credentials);
  const stream = reflection.ServerReflectionInfo(deadline());
  const answers = stream[Symbol.asyncIterator]();
  const ask = async (request) => {
    stream.write(request);
    const {value, done} = await answers.next();
    if (done) throw new Error('reflection ended early');
    if (value.error_response?.error_message) throw new Error(`reflection: ${value.error_response.error_message}`);
    return value;
  };
  const services = (await ask({list_services: '*'})).list_services_response.service.map((service) => service.name);
  print('services', {services});
  const files = new Map();
  for (const service of services.filter((name) => name.startsWith('puma.v1.'))) {
    const {file_descriptor_response: found} = await ask({file_containing_symbol: service});
    for (const file of found.file_descriptor_proto) files.set(file.toString('latin1'), file);
  }
  stream.end();
  reflection.close();
  const set = loader.loadFileDescriptorSetFromBuffer(descriptorSet([...files.values()]), LOAD_OPTIONS);
  return grpc.loadPackageDefinition(set).puma.v1;
}

// A map field, as grpc-js wants it: of reflected protos it knows only what is on the wire, a list of entries.
const entries = (map, convert = (value) => value) => Object.entries(map ?? {}).map(([key, value]) => ({key, value: convert(value)}));

// JSON as google.protobuf.Value.
function toValue(json) {
  if (json === null) return {null_value: 'NULL_VALUE'};
  if (Array.isArray(json)) return {list_value: {values: json.map(toValue)}};
  if (typeof json === 'object') return {struct_value: {fields: entries(json, toValue)}};
  return {[{number: 'number_value', boolean: 'bool_value', string: 'string_value'}[typeof json]]: json};
}

// "1.5s" as google.protobuf.Duration.
function toDuration(text) {
  if (text === undefined) return undefined;
  const seconds = Number(text.replace(/s$/, ''));
  return {seconds: Math.floor(seconds), nanos: Math.round((seconds % 1) * 1e9)};
}

function toTask({inputs, outputs, params, depends_on, watchdog, start_deadline, restart, stop, ...rest}) {
  return {
    ...rest,
    inputs: entries(inputs), outputs: entries(outputs), params: entries(params, toValue), depends_on: entries(depends_on),
    watchdog: toDuration(watchdog), start_deadline: toDuration(start_deadline),
    restart: restart && {...restart, within: toDuration(restart.within), backoff: restart.backoff && {
      initial: toDuration(restart.backoff.initial), max: toDuration(restart.backoff.max)}},
    stop: stop && {grace: toDuration(stop.grace), term_grace: toDuration(stop.term_grace)},
  };
}

// A spec in protobuf's JSON form as grpc-js wants it.
const toSpec = (json) => ({...json, buffers: entries(json.buffers), tasks: entries(json.tasks, toTask)});

async function main(target, file) {
  const credentials = grpc.credentials.createInsecure();
  const v1 = await reflect(target, credentials);
  const [hosts, pipelines, tasks, logs] =
    ['HostService', 'PipelineService', 'TaskService', 'LogService'].map((name) => new v1[name](target, credentials));
  const {host} = await call(hosts, 'GetHost', {});
  print('host', {version: host.version, pid: host.pid});

  const spec = toSpec(JSON.parse(readFileSync(file, 'utf8')));
  const {pipeline, changes} = await call(pipelines, 'ApplyPipeline', {spec, request_id: `node-${process.pid}-${Date.now()}`});
  print('applied', {pipeline: pipeline.name, generation: pipeline.generation, changes: changes.length});

  const watch = tasks.WatchTasks({parent: pipeline.name}, deadline());
  const states = new Map();
  let whole = false, running = false;
  for await (const batch of watch) {
    for (const event of batch.events) {
      if (event.event === 'task') {
        const {name, status} = event.task;
        if (states.get(name) !== status.state) print('task', {name, state: status.state, run: status.run});
        states.set(name, status.state);
        if (status.state === 'TASK_STATE_FAILED') throw new Error(`${name} failed: ${status.last_exit?.summary || status.reason}`);
      } else if (event.event === 'deleted') {
        states.delete(event.deleted);
        print('task', {name: event.deleted, state: 'gone'});
      } else if (event.event === 'snapshot_complete') {
        whole = true;
      }
    }
    const ready = [...states.values()].every((state) => state === 'TASK_STATE_RUNNING' || state === 'TASK_STATE_SUCCEEDED');
    if (whole && !running && states.size > 0 && ready) {
      running = true;
      print('running', {tasks: states.size});
      await readLogs(logs, pipeline.name);
      await call(pipelines, 'DeletePipeline', {name: pipeline.name, request_id: `node-delete-${process.pid}-${Date.now()}`});
    }
    if (running && states.size === 0) break;
  }
  if (!running || states.size > 0) throw new Error('the watch ended early');
  print('deleted', {pipeline: pipeline.name});
}

async function readLogs(logs, parent) {
  let records = 0;
  for await (const batch of logs.TailLogs({parent, history: -1}, deadline())) {
    for (const record of batch.records) {
      const source = batch.sources[record.source];
      print('log', {pipeline: source.pipeline, task: source.task, severity: record.severity, message: record.message});
      ++records;
    }
  }
  print('logs', {records});
}

const [target, file, ...more] = process.argv.slice(2);
if (!target || !file || more.length > 0) {
  console.error('usage: node client.mjs TARGET SPEC_JSON_FILE');
  process.exit(2);
}
main(target, file).then(() => process.exit(0), (error) => {
  print('error', {code: error.code ?? null, message: error.details || error.message});
  process.exit(1);
});
