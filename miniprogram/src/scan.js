import { isObject, must } from './errors.js'

/** The id in what a page is opened with: scene of a mini-program code, q of a QR with a URL, or the text itself. */
export function scanIdOf(given) {
  const text = String(isObject(given) ? given.scene || given.q : given)
  const [, id] = /(?:^|\/s\/|=)([\w-]{16,32})$/.exec(text.replace(/%2F/gi, '/').replace(/%3D/gi, '=')) || []
  must(id, 'confirmScan')
  return id
}

/** Tells the web page that it was scanned; what to show before confirm() or cancel(). */
export async function confirmScan(post, scene) {
  const id = scanIdOf(scene)
  const act = (verb, data = {}) => post(`/api/scan/${id}/${verb}`, data)
  return {
    id,
    ...(await act('scan')),
    confirm: (matchCode) => act('confirm', matchCode && { matchCode: String(matchCode) }),
    cancel: () => act('cancel'),
  }
}
