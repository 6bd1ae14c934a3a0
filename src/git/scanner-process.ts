/**
 * The secret scanner's own process, started in a cage by `scanSecrets`: on stdin the length of the patch in bytes and a
 * line feed, the patch, then the diff for people; on stdout the result as JSON.
 */
import { buffer } from 'node:stream/consumers';
import { scanPatch } from './secret-scan.ts';

const input = await buffer(process.stdin);
const start = input.indexOf(10) + 1;
const end = start + Number(input.subarray(0, start).toString());
const scanned = await scanPatch(input.subarray(start, end).toString('utf8'), input.subarray(end).toString('utf8'));
process.stdout.write(JSON.stringify(scanned));
