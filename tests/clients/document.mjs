// A document with the roots `map`, `array`, `text` and `xml`, whatever provider it hangs on.
import * as Y from 'yjs'

export class EditedDocument {
  constructor (clientId) {
    this.doc = new Y.Doc()
    if (clientId !== null) this.doc.clientID = clientId
    this.roots = {
      map: this.doc.getMap('map'),
      array: this.doc.getArray('array'),
      text: this.doc.getText('text'),
      xml: this.doc.getXmlFragment('xml')
    }
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
