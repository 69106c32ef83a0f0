// One document on a published y-websocket provider.
import WebSocket from 'ws'
import * as encoding from 'lib0/encoding'
import * as decoding from 'lib0/decoding'
import { WebsocketProvider as Provider1 } from 'y-websocket-1'
import { WebsocketProvider as Provider2 } from 'y-websocket-2'
import { WebsocketProvider as Provider3 } from 'y-websocket-3'
import { EditedDocument } from './document.mjs'

const PROVIDERS = { 1: Provider1, 2: Provider2, 3: Provider3 }
const SAVED = 102

export class YClient extends EditedDocument {
  constructor ({ version, url, room, client_id: clientId, is_present: isPresent }, say) {
    super(clientId)
    this.heard = []
    this.waiting = new Map()
    this.lastToken = 0
    this.provider = new PROVIDERS[version](url, room, this.doc, {
      WebSocketPolyfill: WebSocket,
      disableBc: true
    })
    if (!isPresent) this.provider.awareness.setLocalState(null)
    this.provider.messageHandlers[SAVED] = (_encoder, decoder) => this.heardSaved(decoding.readVarUint(decoder))
    this.provider.on('status', ({ status }) => this.heard.push(['status', status]))
    this.provider.on('connection-close', (event) => {
      say({ event: 'close', code: event?.code ?? null })
    })
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

  offline () {
    this.provider.disconnect()
  }

  online () {
    this.provider.connect()
  }

  destroy () {
    this.provider.destroy()
  }
}
