// Published y-websocket and Hocuspocus providers behind JSON lines: one command per line in, one answer per line out.
//
// In:  {"call": 7, "do": "edit", "client": "a", ...}
// Out: {"call": 7, "result": …} or {"call": 7, "error": "…"}; unasked: {"event": "close"|"complaint", …}
import { createInterface } from 'node:readline'
import { HocuspocusClient } from './hocuspocus_client.mjs'
import { YClient } from './y_client.mjs'

const clients = new Map()

const say = (message) => process.stdout.write(JSON.stringify(message) + '\n')

process.setMaxListeners(0) // each provider waits for the end of the process

// The providers report a message they do not know here, and nowhere else.
console.error = (...words) => say({ event: 'complaint', words: words.map(String).join(' ') })

const COMMANDS = {
  open: (_client, { client, ...options }) => {
    const Client = String(options.version).startsWith('h') ? HocuspocusClient : YClient
    clients.set(client, new Client(options, (message) => say({ ...message, client })))
  },
  synced: (client) => client.synced(),
  edit: (client, { steps }) => client.edit(steps),
  type: (client, { patches }) => client.type(patches),
  saved: (client) => client.saved(),
  content: (client) => client.content(),
  offline: (client) => client.offline(),
  online: (client) => client.online(),
  announce: (client, { state }) => client.provider.awareness.setLocalState(state),
  presence: (client) => Object.fromEntries(client.provider.awareness.getStates()),
  heard: (client) => client.heard,
  unsynced: (client) => client.provider.unsyncedChanges,
  stateless: (client, { payload }) => client.provider.sendStateless(payload),
  retry: (client, { token }) => client.retry(token),
  keep: (client, { token }) => { client.provider.configuration.token = token },
  // The edit and the goodbye leave in the same turn: nothing can be answered in between.
  leave: (client, { client: id, steps }) => {
    client.edit(steps)
    client.destroy()
    clients.delete(id)
  }
}

createInterface({ input: process.stdin }).on('line', async (line) => {
  const command = JSON.parse(line)
  try {
    const result = await COMMANDS[command.do](clients.get(command.client), command)
    say({ call: command.call, result: result ?? null })
  } catch (error) {
    say({ call: command.call, error: String(error?.stack ?? error) })
  }
}).on('close', () => process.exit(0))
