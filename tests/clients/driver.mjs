// Published y-websocket providers behind JSON lines: one command per line in, one answer per line out.
//
// In:  {"call": 7, "do": "edit", "client": "a", ...}
// Out: {"call": 7, "result": …} or {"call": 7, "error": "…"}; unasked: {"event": "close"|"complaint", …}
import { createInterface } from 'node:readline'
import WebSocket from 'ws'
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import * as Y from 'yjs'
import { WebsocketProvider as Provider1 } from 'y-websocket-1'
import { WebsocketProvider as Provider2 } from 'y-websocket-2'
import { WebsocketProvider as Provider3 } from 'y-websocket-3'

const PROVIDERS = { 1: Provider1, 2: Provider2, 3: Provider3 }
const SAVED = 102
const clients = new Map()

const say = (message) => process.stdout.write(JSON.stringify(message) + '\n')

process.setMaxListeners(0) // each provider waits for the end of the process

// The providers report a message they do not know here, and nowhere else.
console.error = (...words) => say({ event: 'complaint', words: words.map(String).join(' ') })

class Client {
  constructor (id, version, url, room, clientId) {
    this.doc = new Y.Doc()
    if (clientId !== null) this.doc.clientID = clientId
    this.roots = {
      map: this.doc.getMap('map'),
      array: this.doc.getArray('array'),
      text: this.doc.getText('text'),
      xml: this.doc.getXmlFragment('xml')
    }
    this.waiting = new Map()
    this.lastToken = 0
    this.provider = new PROVIDERS[version](url, room, this.doc, {
      WebSocketPolyfill: WebSocket,
      disableBc: true
    })
    this.provider.messageHandlers[SAVED] = (_encoder, decoder) => this.heardSaved(decoding.readVarUint(decoder))
    this.provider.on('connection-close', (event) => say({ event: 'close', client: id, code: event?.code ?? null }))
  }

  heardSaved (token) {
    this.waiting.get(token)?.()
    this.waiting.delete(token)
  }

  saved () {
    const token = ++this.lastToken
    const encoder = encoding.createEncoder()
    encoding.writeVarUint(encoder, SAVED)
    encoding.writeVarUint(encoder, token)
    const heard = new Promise((resolve) => this.waiting.set(token, resolve))
    this.provider.ws.send(encoding.toUint8Array(encoder))
    return heard
  }

  synced () {
    if (this.provider.synced) return null
    return new Promise((resolve) => {
      const listen = (state) => {
        if (!state) return
        this.provider.off('sync', listen)
        resolve(null)
      }
      this.provider.on('sync', listen)
    })
  }

  apply ([kind, ...rest]) {
    const { map, array, text, xml } = this.roots
    switch (kind) {
      case 'map.set': return map.set(rest[0], rest[1])
      case 'map.delete': return map.delete(rest[0])
      case 'array.insert': return array.insert(rest[0], rest[1])
      case 'array.delete': return array.delete(rest[0], rest[1])
      case 'text.insert': return text.insert(rest[0], rest[1])
      case 'text.delete': return text.delete(rest[0], rest[1])
      case 'xml.insert': return xml.insert(rest[0], [element(rest[1], rest[2], rest[3])])
      case 'xml.delete': return xml.delete(rest[0], rest[1])
      default: throw new Error(`there is no edit ${kind}`)
    }
  }

  edit (steps) {
    this.doc.transact(() => steps.forEach((step) => this.apply(step)))
  }

  type (patches) {
    for (const [position, deleted, inserted] of patches) {
      this.doc.transact(() => {
        if (deleted > 0) this.roots.text.delete(position, deleted)
        if (inserted !== '') this.roots.text.insert(position, inserted)
      })
    }
  }

  content () {
    const { map, array, text, xml } = this.roots
    return {
      map: map.toJSON(),
      array: array.toJSON(),
      text: text.toString(),
      xml: xml.toString(),
      state_vector: Buffer.from(Y.encodeStateVector(this.doc)).toString('base64')
    }
  }
}

const element = (tag, attributes, words) => {
  const made = new Y.XmlElement(tag)
  Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value))
  made.insert(0, [new Y.XmlText(words)])
  return made
}

const COMMANDS = {
  open: (_client, { client, version, url, room, client_id: clientId }) => {
    clients.set(client, new Client(client, version, url, room, clientId))
  },
  synced: (client) => client.synced(),
  edit: (client, { steps }) => client.edit(steps),
  type: (client, { patches }) => client.type(patches),
  saved: (client) => client.saved(),
  content: (client) => client.content(),
  offline: (client) => client.provider.disconnect(),
  online: (client) => client.provider.connect(),
  announce: (client, { state }) => client.provider.awareness.setLocalState(state),
  presence: (client) => Object.fromEntries(client.provider.awareness.getStates()),
  // The edit and the goodbye leave in the same turn: nothing can be answered in between.
  leave: (client, { client: id, steps }) => {
    client.edit(steps)
    client.provider.destroy()
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
