// One document on a published Hocuspocus provider; several may share a socket by naming it.
import WebSocket from 'ws'
import * as h2 from 'hocuspocus-2'
import * as h3 from 'hocuspocus-3'
import * as h4 from 'hocuspocus-4'
import { EditedDocument } from './document.mjs'

const PACKAGES = { h2, h3, h4 }
const sockets = new Map()

const socketFor = (name, version, url) => {
  const key = `${version} ${name}`
  if (name === null || !sockets.has(key)) {
    const socket = new PACKAGES[version].HocuspocusProviderWebsocket({
      url,
      WebSocketPolyfill: WebSocket,
      delay: 200,
      minDelay: 200,
      maxDelay: 400
    })
    if (name === null) return socket
    sockets.set(key, socket)
  }
  return sockets.get(key)
}

export class HocuspocusClient extends EditedDocument {
  constructor ({ version, url, room, client_id: clientId, is_present: isPresent, socket, token, session_aware: sessionAware }, say) {
    super(clientId)
    this.version = version
    this.heard = []
    this.hasOwnSocket = socket === null
    this.socket = socketFor(socket, version, url)
    this.onStatus = ({ status }) => this.heard.push(['status', status])
    this.onClose = ({ event }) => say({ event: 'close', code: event.code })
    this.socket.on('status', this.onStatus)
    this.socket.on('close', this.onClose)
    this.provider = new PACKAGES[version].HocuspocusProvider({
      websocketProvider: this.socket,
      name: room,
      document: this.doc,
      token,
      broadcast: false,
      sessionAwareness: sessionAware,
      ...(isPresent ? {} : { awareness: null })
    })
    this.provider.on('authenticated', () => this.heard.push(['authenticated', this.provider.authorizedScope]))
    this.provider.on('authenticationFailed', ({ reason }) => this.heard.push(['denied', reason]))
    this.provider.on('stateless', ({ payload }) => this.heard.push(['stateless', payload]))
    this.provider.on('close', ({ event }) => this.heard.push(['close', event.reason]))
    if (version !== 'h2') this.provider.attach()
  }

  // 2.15 counts its own acknowledgements wrongly after edits while offline, to below zero.
  async saved () {
    await until(() => this.provider.unsyncedChanges <= 0)
  }

  async synced () {
    await until(() => this.provider.synced)
  }

  // On a shared socket, one document only: 2.15 says nothing of it, the others send Close.
  async offline () {
    if (!this.hasOwnSocket) return this.version === 'h2' ? this.provider.disconnect() : this.provider.detach()
    this.socket.disconnect()
    await until(() => this.socket.status === 'disconnected')
  }

  online () {
    if (!this.hasOwnSocket) return this.version === 'h2' ? this.provider.connect() : this.provider.attach()
    this.socket.connect()
  }

  retry (token) {
    this.provider.configuration.token = token
    return this.version === 'h2' ? this.provider.connect() : this.provider.sendToken()
  }

  destroy () {
    this.provider.destroy()
    this.socket.off('status', this.onStatus)
    this.socket.off('close', this.onClose)
    if (this.hasOwnSocket) this.socket.destroy()
  }
}

const until = async (holds) => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2))
}
