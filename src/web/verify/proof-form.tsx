import { DropFile } from '../parts/drop-file.tsx';
import { StatusMark } from '../parts/mark.tsx';
import { proof, proofFault, takeProof } from './state.ts';

/** The receipt or the .ots file. */
export function ProofForm() {
  const held = proof.value;
  return (
    <section class="stack tight" aria-labelledby="proof-title">
      <h2 id="proof-title">Its receipt</h2>
      <DropFile
        label="Choose or drop the receipt"
        hint="a receipt (.json) or an .ots file"
        accept=".json,.ots,.tlog-proof,.cose,.tsr,application/json"
        file={held?.file ?? null}
        onFiles={([file]) => {
          if (file !== undefined) void takeProof(file);
        }}
      />
      <div role="alert">
        {proofFault.value !== null && (
          <p class="status refuted error">
            <StatusMark status="refuted" />
            {proofFault.value}
          </p>
        )}
      </div>
    </section>
  );
}
