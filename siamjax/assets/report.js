document.querySelectorAll('table.sort').forEach(table=>{
 table.querySelectorAll('th').forEach((head,column)=>head.addEventListener('click',()=>{
  const was=head.getAttribute('aria-sort');  // names rise at first, figures fall
  const down=column?was!=='descending':was==='ascending';
  table.querySelectorAll('th').forEach(h=>h.removeAttribute('aria-sort'));
  head.setAttribute('aria-sort',down?'descending':'ascending');
  const value=row=>{const c=row.children[column];return c.dataset.value??c.textContent};
  const body=table.tBodies[0];
  [...body.rows].sort((a,b)=>{
   const x=value(a),y=value(b),n=parseFloat(x)-parseFloat(y);
   if((x==='')!==(y===''))return x===''?1:-1;  // unknown values last
   const order=isNaN(n)?x.localeCompare(y,undefined,{numeric:true}):n;return down?-order:order;
  }).forEach(row=>body.append(row));
 }));
});
