// That src/ does what index.d.ts says. Compiled, never run.
import { createKaimen, scanIdOf } from '../../miniprogram/src/index.js'

/** @type {typeof import('../../miniprogram/kaimen/index').createKaimen} */
const typedCreate = createKaimen
/** @type {typeof import('../../miniprogram/kaimen/index').scanIdOf} */
const typedScanIdOf = scanIdOf
export { typedCreate, typedScanIdOf }
